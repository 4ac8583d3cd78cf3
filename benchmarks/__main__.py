"""Answer the questions: `python -m benchmarks [QUESTION ...] [--rounds 5] [--all]`. Exit code 1 when a goal is missed."""

import argparse
import sys

from benchmarks.questions import QUESTIONS, answer
from benchmarks.results import show, store


def main() -> int:
    """Run the chosen questions, or all, and store what they gave."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("question", nargs="*", help=f"of {', '.join(question.name for question in QUESTIONS)}")
    parser.add_argument("--rounds", type=int, help="runs of each contender (else as the question says)")
    parser.add_argument(
        "--all", action="store_true", help="ask the long questions too, which takes a quarter of an hour"
    )
    given = parser.parse_args()
    if unknown := set(given.question) - {question.name for question in QUESTIONS}:
        parser.error(f"no such question: {', '.join(sorted(unknown))}")
    missed = False
    for question in QUESTIONS:
        if not (
            any(is_asked(question.name, name) for name in given.question)
            if given.question
            else given.all or not question.is_long
        ):
            continue
        if question.lacks is not None:
            print(f"\n{question.name}: skipped, {question.lacks} is not installed")
            continue
        answered = answer(question, given.rounds or question.rounds)
        store(answered)
        show(answered)
        missed |= any(result.holds is False for result in answered.results)
    return int(missed)


def is_asked(question: str, name: str) -> bool:
    """A name stands for itself and for what is named after it: `journal` for `journal_size` too."""
    return question == name or question.startswith(f"{name}_")


if __name__ == "__main__":
    sys.exit(main())
