"""A job goes on from its own newest whole checkpoint, whatever else lies in the folder."""

from pathlib import Path

from rlaif.artifacts import landing
from rlaif.models.training_state import save_state
from rlaif.stages.ppo.checkpoints import Checkpoints


def write(checkpoints: Checkpoints, done: int, job: str = "mine") -> None:
    with landing(checkpoints.place(done)) as folder:
        save_state({"job": job, "done": done}, folder)


def numbers(work: Path) -> list[int]:
    return sorted(int(folder.name.removeprefix("update-")) for folder in work.iterdir())


def test_the_newest_whole_one_is_taken(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "mine")
    assert checkpoints.newest() == (None, {})
    for done in (5, 10, 15):
        write(checkpoints, done)
    (checkpoints.place(15) / "state.json").write_text("{}", encoding="utf-8")
    folder, state = checkpoints.newest()
    assert folder == checkpoints.place(10)
    assert state["done"] == 10


def test_those_of_another_job_do_not_hide_it(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "mine")
    write(checkpoints, 5)
    write(checkpoints, 10, job="of another")
    assert checkpoints.newest()[0] == checkpoints.place(5)


def test_two_are_kept_and_nothing_of_another_job(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "mine")
    for done, job in ((1, "mine"), (2, "mine"), (3, "other"), (4, "mine"), (9, "other")):
        write(checkpoints, done, job)
    (tmp_path / "update-00003" / "state.json").write_text("half writ", encoding="utf-8")
    checkpoints.prune(4)
    assert numbers(tmp_path) == [2, 4]


def test_those_beyond_a_ceiling_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "mine")
    for done in (2, 4, 6):
        write(checkpoints, done)
    checkpoints.drop_from(4)
    assert numbers(tmp_path) == [2]


def test_what_is_no_checkpoint_is_left_alone(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "mine")
    for name in ("update-00009", "update-00001.txt", "update-9"):
        (tmp_path / name).write_text("a file", encoding="utf-8")
    (tmp_path / "update-00001-mine").mkdir()
    for done in (1, 2, 3):
        write(checkpoints, done)
    checkpoints.prune(3)
    checkpoints.drop_from(3)
    left = {path.name for path in tmp_path.iterdir()}
    others = {"update-00009", "update-00001.txt", "update-9", "update-00001-mine"}
    assert left == {"update-00002", *others}
