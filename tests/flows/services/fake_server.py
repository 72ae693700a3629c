"""A Prefect server in memory: what the services use of its API."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from flows.services.prefect_api import PrefectApi


class FakeServer(PrefectApi):
    """Pools, queues and deployments by their paths, and the flow runs that a test adds."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:4200/api")
        self.__dict__.update(objects={}, flows={}, runs=[], planned=[], up=True)

    def is_up(self) -> bool:
        return bool(self.__dict__["up"])

    def get(self, path: str) -> Any:
        return self.objects.get(path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        if path == "/flow_runs/filter":
            where = body["flow_runs"]
            tags, states = set(where["tags"]["all_"]), where["state"]["type"]["any_"]
            return [run for run in self.runs if tags <= set(run["tags"]) and run["state_type"] in states]
        if path == "/flows/filter":
            return [{"id": flow, "name": name} for name, flow in self.flows.items()]
        if path == "/flows/":
            return {"id": self.flows.setdefault(body["name"], str(uuid4()))}
        if path == "/deployments/":
            flow = next(name for name, number in self.flows.items() if number == body["flow_id"])
            path = f"/deployments/name/{flow}/{body['name']}"
            before = self.objects.get(path, {"id": str(uuid4())})
            self.objects[path] = {**body, "id": before["id"]}
            return self.objects[path]
        if path.endswith("/schedule"):
            self.planned.append(path.split("/")[2])
            return None
        self.objects[f"{path.rstrip('/')}/{body['name']}"] = dict(body)
        return body

    def patch(self, path: str, body: dict[str, Any]) -> None:
        self._of(path).update(body)

    def delete(self, path: str) -> None:
        found = self._of(path)
        self.__dict__["objects"] = {place: one for place, one in self.objects.items() if one is not found}

    def deployments(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for path, one in self.objects.items() if path.startswith("/deployments/")}

    def _of(self, path: str) -> Any:
        number = path.rpartition("/")[2]
        return self.objects.get(path) or next(one for one in self.objects.values() if one.get("id") == number)
