"""What the kernel says: the machine, CPU time, memory, and whether somebody else was at work."""
import datetime
import gzip
import os
import pathlib
import platform
import re
import resource
import time

TICK = 1 / os.sysconf("SC_CLK_TCK")


def describe():
    """The machine in a line: CPU, cores that we may use, memory, system and kernel."""
    cpu, system = platform.machine(), "Linux"
    found = re.search(r"(?m)^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text())
    if found:
        cpu = found[1]
    release = pathlib.Path("/etc/os-release")
    if release.exists():
        found = re.search(r'(?m)^PRETTY_NAME="?([^"\n]*)', release.read_text())
        system = found[1] if found else system
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    kernel = platform.release()
    return f"{cpu}, {cores} core{'s' if cores > 1 else ''}, {memory:.0f} GB, {system}, Linux {kernel}"


def today():
    """The date in words: 23 November 2026."""
    now = datetime.date.today()
    return f"{now.day} {now:%B %Y}"


def cpus():
    """The CPU of the server and that of the load; the same one where there is no other."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 if len(usable) > 1 else 0]


def allow_files(count):
    """Raises the soft limit of descriptors to `count`, which children inherit; False if it may not be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return True
    if hard != resource.RLIM_INFINITY and hard < count:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return True


def _processes():
    """{pid: (parent, seconds of CPU)} of all processes; the seconds include the children waited for."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            text = pathlib.Path("/proc", name, "stat").read_text()
        except OSError:
            continue  # it has ended meanwhile
        fields = text.rpartition(")")[2].split()
        found[int(name)] = (int(fields[1]), sum(map(int, fields[11:15])) * TICK)
    return found


def tree(pid, processes=None):
    """The pids of a process and of all below it."""
    processes = processes or _processes()
    children = {}
    for child, (parent, _) in processes.items():
        children.setdefault(parent, []).append(child)
    pids = [pid]
    for known in pids:
        pids.extend(children.get(known, ()))
    return pids


def cpu_seconds(pids):
    """CPU seconds of user and system that the live threads of these processes have used."""
    total = 0
    for pid in pids:
        try:
            for thread in os.scandir(f"/proc/{pid}/task"):
                total += int(pathlib.Path(thread.path, "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            pass  # ended
    return total


def memory(pids):
    """Bytes that these processes hold in memory; what they share is counted once."""
    private = shared = 0
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # ended
        kilobytes = {name: int(value) for name, value in re.findall(r"(?m)^(\w+):\s+(\d+) kB", text)}
        own = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
        private += own
        shared = max(shared, kilobytes["Rss"] - own)
    return (private + shared) * 1024


def _interrupts_are_apart():
    """Does this kernel keep the time of interrupts out of that of the processes they interrupt?"""
    config = pathlib.Path(f"/boot/config-{platform.release()}")
    try:
        text = config.read_text() if config.exists() else gzip.open("/proc/config.gz", "rt").read()
    except OSError:
        return False
    return "CONFIG_IRQ_TIME_ACCOUNTING=y" in text


def _sees_everybody():
    """Are the processes of the whole machine in /proc, and not those of a container only?"""
    try:
        return pathlib.Path("/proc/2/comm").read_text() == "kthreadd\n"
    except OSError:
        return False


class Watch:
    """Around a measurement: how much CPU others used meanwhile, and how much was stolen.

    After the `with` block, `foreign` and `steal` are in CPUs: 0.1 is a tenth of one core. Foreign is what
    the machine was busy with that neither this process nor anything below it used. That includes what
    interrupts took; so where all other processes are visible, it is no more than what those used.
    """

    interrupts_are_apart = _interrupts_are_apart()
    sees_everybody = _sees_everybody()

    def _read(self):
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        _, _, _, idle, iowait, irq, softirq, steal = (int(field) * TICK for field in fields)
        processes = _processes()
        pids = set(tree(os.getpid(), processes))
        ours = sum(used for pid, (_, used) in processes.items() if pid in pids)
        theirs = sum(used for _, used in processes.values()) - ours
        if self.interrupts_are_apart:
            ours += irq + softirq
        # Of the times of /proc/stat, idle is exact where ticks stop; the others are sampled.
        return time.monotonic(), idle + iowait, steal, ours, theirs

    def __enter__(self):
        self._before = self._read()
        return self

    def __exit__(self, *_):
        wall, idle, steal, ours, theirs = (now - then for now, then in zip(self._read(), self._before))
        self.steal = steal / wall
        self.foreign = os.cpu_count() - (idle + steal + ours) / wall
        if self.sees_everybody:
            self.foreign = min(self.foreign, theirs / wall)
        self.foreign = max(0, self.foreign)
