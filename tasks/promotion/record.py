"""Records of promotion decisions: on the model version, as artifacts of its run, and in the project."""

from __future__ import annotations

from pathlib import Path

from tasks.promotion.decision import Decision, append_decision
from tasks.shared import registry

DECISION_MARKDOWN = "decision.md"
"""Among the artifacts of a version's run."""


def record(root: Path, decision: Decision) -> None:
    """Records a decision, on the version, with its run and in the project.

    That is: tags and description of the version, decision.json and decision.md among the artifacts of its run, and a
    line of .stylereel/promotions.jsonl.

    Raises:
        RegistryError: the registry failed.
    """
    text = decision.as_markdown()
    files = {"decision.json": decision.model_dump_json(indent=1), DECISION_MARKDOWN: text}
    registry.annotate_version(decision.training, decision.digest, tags=decision.tags(), description=text, files=files)
    append_decision(root, decision)
