"""Which run is next, and on which processors."""

import re
import threading

from .plans import Bad, source_of


def cpu_list(text):
    """Processors: `0-3,6`."""
    cpus = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not found or int(found[2] or found[1]) < int(found[1]):
            raise Bad(f"--cpus {text}: such as 0-3 or 0,2")
        cpus += range(int(found[1]), int(found[2] or found[1]) + 1)
    return sorted(set(cpus))


def shares(cpus, jobs, threads):
    """The processors of each job: its own where there are enough, else all."""
    if len(cpus) < jobs * threads:
        return [cpus] * jobs
    each = len(cpus) // jobs
    return [cpus[i * each : (i + 1) * each] for i in range(jobs)]


class Waiting:
    """Runs that wait for a worker, and for the runs that they start from."""

    def __init__(self, plan, runs):
        self.plan, self.left, self.at_work = plan, list(runs), set()
        self.changed = threading.Condition()

    def take(self, stopped):
        """The next run whose source waits no more; None where there is none."""
        with self.changed:
            while self.left and not stopped.is_set():
                for run in self.left:
                    source = source_of(self.plan, *run)
                    if source not in self.at_work and source not in self.left:
                        self.left.remove(run)
                        self.at_work.add(run)
                        return run
                self.changed.wait(0.5)
        return None

    def ended(self, run):
        with self.changed:
            self.at_work.discard(run)
            self.changed.notify_all()
