"""How far a long command is."""

from __future__ import annotations


class ProgressBar:
    """A bar with the real-time factor; nothing where stderr is no terminal."""

    def __init__(self, unit_s: float) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit="frame", disable=None, leave=False, dynamic_ncols=True)
        self._unit_s = unit_s

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        elapsed = self._bar.format_dict["elapsed"]
        if elapsed:
            self._bar.set_postfix_str(f"{done * self._unit_s / elapsed:.2f} x real time")
