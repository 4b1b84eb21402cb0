"""Slots: how much of each stage runs at once. An engine says it; chunks are cut and rates are judged by it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Slots:
    """Threads that decode, in tasks of so many, and replicas that predict."""

    decode_threads: int
    threads_per_task: int
    replicas: int
    tasks_per_machine: int = 1  # processes that decode at once and share one machine's memory

    @property
    def decode_tasks(self) -> int:
        return self.decode_threads // self.threads_per_task
