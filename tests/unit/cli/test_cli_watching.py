"""Progress: units done, rate and time left, on a terminal and elsewhere."""

from io import StringIO

from rich.console import Console
from rich.progress import Progress

from cli.clocks import Clock
from rlaif.cli.watching import LiveWatcher, Pace, PlainWatcher, watching


def console(*, terminal: bool = False) -> Console:
    return Console(file=StringIO(), width=120, force_terminal=terminal, markup=False)


def printed(target: Console) -> str:
    assert isinstance(target.file, StringIO)
    return target.file.getvalue()


def test_pace_gives_rate_and_time_left() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.facts(0, 40, "updates") == "0/40 updates"
    clock.now += 5.0
    assert pace.facts(10, 40, "updates") == "10/40 updates, 2.0/s, 15 s left"
    clock.now += 95.0
    assert pace.facts(20, 40, "updates") == "20/40 updates, 5.0 s each, 1 min 40 s left"


def test_pace_counts_only_what_this_process_did() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.facts(30, 40, "updates")
    clock.now += 10.0
    assert pace.facts(35, 40, "updates") == "35/40 updates, 2.0 s each, 10 s left"


def test_pace_begins_anew_with_each_phase_of_a_stage() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.facts(0, 10, "answers")
    clock.now += 10.0
    assert pace.facts(10, 10, "answers").endswith("1.0/s, 0.0 s left")
    assert pace.facts(0, 40, "ratings") == "0/40 ratings"
    clock.now += 1.0
    assert pace.facts(20, 40, "ratings") == "20/40 ratings, 20/s, 1.0 s left"


def test_pace_is_silent_about_a_rate_that_it_cannot_know() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.facts(3, 9, "pairs")
    assert pace.facts(4, 9, "pairs") == "4/9 pairs"
    clock.now += 1.0
    assert pace.facts(3, 9, "pairs") == "3/9 pairs"


def test_plain_lines_come_at_the_start_now_and_then_and_at_the_end() -> None:
    clock, target = Clock(), console()
    watcher = PlainWatcher(target, last=3, clock=clock)
    watcher.cycle(2, 2)
    watcher.stage(2, "judging")
    watcher.units(0, 100, "judgements")
    for done in range(1, 101):
        clock.now += 0.25
        watcher.units(done, 100, "judgements")
    watcher.note("the link was mended\x1b[2J")
    assert printed(target).splitlines() == [
        "cycle 2/3 judging",
        "cycle 2/3 judging: 40/100 judgements, 4.0/s, 15 s left",
        "cycle 2/3 judging: 80/100 judgements, 4.0/s, 5.0 s left",
        "cycle 2/3 judging: 100/100 judgements, 4.0/s, 0.0 s left",
        "note: the link was mended␛[2J",
    ]


def test_a_live_line_leaves_one_line_for_each_stage() -> None:
    clock, target = Clock(), console(terminal=True)
    with Progress(console=target, transient=True, auto_refresh=False) as progress:
        watcher = LiveWatcher(progress, last=2, clock=clock)
        watcher.cycle(1, 1)
        watcher.stage(1, "sampling")
        clock.now += 2.0
        watcher.stage(1, "ppo")
        watcher.units(0, 20, "updates")
        clock.now += 5.0
        watcher.units(10, 20, "updates")
        task = progress.tasks[0]
        assert (task.completed, task.total) == (10, 20)
        assert task.fields["facts"] == "10/20 updates, 2.0/s, 5.0 s left"
        watcher.note("a note")
        watcher.leave()
    lines = [line.strip() for line in printed(target).replace("\x1b[2K", "").splitlines()]
    assert f"{'cycle 1/2  sampling':<57} 2.0 s" in lines
    assert f"{'cycle 1/2  ppo':<26} {'10/20 updates':<30} 5.0 s" in lines
    assert "note: a note" in lines


def test_watching_picks_the_watcher_by_the_console() -> None:
    with watching(console()) as plain:
        assert isinstance(plain, PlainWatcher)
    target = console(terminal=True)
    with watching(target, last=4) as live:
        assert isinstance(live, LiveWatcher)
        live.cycle(3, 3)
        live.stage(3, "ppo")
        live.units(1, 2, "updates")
    assert "cycle 3/4  ppo" in printed(target)
    assert "1/2 updates" in printed(target)
