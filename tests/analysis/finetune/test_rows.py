"""Rows to train on: those that fit, evenly from all problems."""

from testbudget.analysis.finetune.rows import evenly, fitting_rows


class Words:
    """A tokenizer with a token for each word of the messages."""

    def apply_chat_template(self, messages, *, tokenize, return_dict):
        assert tokenize
        assert not return_dict
        return " ".join(message["content"] for message in messages).split()


def row(problem, **texts):
    messages = {name: [{"role": "user", "content": text}] for name, text in texts.items()}
    return {"content_hash": problem, **messages}


def test_a_row_fits_if_each_of_its_answers_does():
    short = row("a", prompt="one two", completion="three")
    pair = row("a", prompt="one two", chosen="three", rejected="three four")
    assert fitting_rows([short, pair], Words(), 3) == [short]
    assert fitting_rows([short, pair], Words(), 4) == [short, pair]


def test_every_problem_gives_a_row_before_any_gives_its_second():
    rows = [row("a", prompt=str(n)) for n in range(3)] + [row("b", prompt="4")]
    assert [one["content_hash"] for one in evenly(rows, 3)] == ["a", "b", "a"]
    assert len(evenly(rows, None)) == 4
