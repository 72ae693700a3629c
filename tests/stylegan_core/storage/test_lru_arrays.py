import numpy as np

from stylegan_core.storage.lru_arrays import LruArrays


def test_arrays_are_made_once_and_the_oldest_are_forgotten() -> None:
    made: list[str] = []
    kept: LruArrays[np.ndarray] = LruArrays(2, kept_bytes=0)

    def get(key: str) -> np.ndarray:
        def make() -> np.ndarray:
            made.append(key)
            return np.full(4, ord(key))

        return kept.get(key, make)

    assert [int(get(key)[0]) for key in "abab"] == [97, 98, 97, 98]
    assert made == ["a", "b"]
    get("a")  # now b is the oldest
    get("c")
    get("a")
    get("b")
    assert made == ["a", "b", "c", "b"]
