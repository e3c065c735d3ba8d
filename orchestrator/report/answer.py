"""What the page asks and answers, whatever the state of the study."""

from orchestrator.analysis import answer as analysis
from orchestrator.analysis.answer import Answer
from orchestrator.report.inputs import Inputs
from orchestrator.status.render import rough


def question(inputs: Inputs) -> str:
    """What was asked."""
    families = inputs.families
    names = families[0] if len(families) == 1 else f"{', '.join(families[:-1])} and {families[-1]}"
    dataset = inputs.study.settings.dataset
    return f"How accurate are {names} on {dataset}, each tuned, and is the difference real?"


def answer(inputs: Inputs) -> Answer:
    """What was found, or how far the study is."""
    if not inputs.ended:
        return Answer(headline=f"No answer yet: {progress(inputs)}")
    return analysis.answer(inputs.final, inputs.comparison)


def progress(inputs: Inputs) -> str:
    """How far a study is that has not ended."""
    status = inputs.status
    ended = sum(f.stopped + f.completed + f.failed + f.diverged for f in status.families)
    planned = sum(f.trials for f in status.families)
    text = f"the study is {status.state}; {ended:,} of {planned:,} trials have ended"
    if status.finals is None:
        text += " and the finals have not begun."
    else:
        text += f" and {status.finals.done:,} of {status.finals.expected:,} final runs are done."
    if status.time_left_seconds is not None:
        text += f" If it goes on as so far, about {rough(status.time_left_seconds)} are left."
    return text
