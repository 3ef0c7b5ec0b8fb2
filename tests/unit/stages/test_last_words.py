"""Of what a named rater said of one thing the last counts."""

from human_samples import said

from rlaif.stages.last_words import last_words


def test_the_last_word_of_a_named_rater_counts() -> None:
    labels = [
        said("old pair", 0.0, rater="ana"),
        said("old rating", 0.25, rated=True, rater="ana"),
        said("new pair", 1.0, rater="ana"),
        said("new rating", 0.75, rated=True, rater="ana"),
    ]
    assert [label.id for label in last_words(labels)] == ["new pair", "new rating"]


def test_a_word_on_another_thing_replaces_nothing() -> None:
    labels = [
        said("whole", 1.0, rater="ana"),
        said("of another", 0.0, rater="ben"),
        said("on a criterion", 0.0, rater="ana", criterion="kind"),
        said("as an edit", 0.0, rater="ana", form="edit"),
        said("on another pair", 0.0, rater="ana", second_id="p/c"),
        said("on another first", 0.0, rater="ana", first_id="p/0"),
        said("on another prompt", 0.0, rater="ana", prompt_id="q"),
        said("nobody", 1.0),
        said("nobody else", 0.0),
    ]
    assert last_words(labels) == labels
