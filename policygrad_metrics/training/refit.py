"""Choose the number of epochs on validation, then train anew on all that is known."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import numpy as np

from policygrad_metrics.training.records import Parts, Trained
from policygrad_metrics.training.replicas import train_replicas


def refit_replicas(data: Parts, chosen: list[Trained], **how: Any) -> list[Trained]:
    """Train again on training and validation part together, as long as validation chose.

    Each replica starts from the same first weights and trains for `best_epoch + 1` epochs; an
    epoch has more steps, as there are more examples. In a series the newest examples, those most
    like the ones to come, are so not left out. Nothing is chosen here.

    Args:
        data: The three parts that `chosen` was trained on.
        chosen: What `train_replicas(data=data, **how)` returned.
        how: Its other arguments.

    Returns:
        As `chosen`, with weights and test outputs of the second training; `valid_outputs` and
        history stay those of the first, which had not seen the validation part. Steps, seconds and
        reward evaluations are those of both. A replica that diverged the first time stays as it
        was.
    """
    replicas = how.pop("replicas")
    places = [place for place, one in enumerate(chosen) if not one.diverged]
    if not places:
        return chosen
    both: Any = types.SimpleNamespace(
        x_train=np.concatenate([data.x_train, data.x_valid]),
        y_train=np.concatenate([data.y_train, data.y_valid]),
        x_valid=data.x_valid,
        y_valid=data.y_valid,
        x_test=data.x_test,
    )
    again = train_replicas(
        data=both,
        replicas=[replicas[place] for place in places],
        lengths=[chosen[place].best_epoch + 1 for place in places],
        **how,
    )
    found = list(chosen)
    for place, new in zip(places, again, strict=True):
        old = chosen[place]
        found[place] = dataclasses.replace(
            old,
            test_outputs=new.test_outputs,
            weights=new.weights,
            diverged=new.diverged,
            steps=old.steps + new.steps,
            seconds=old.seconds + new.seconds,
            reward_evaluations=old.reward_evaluations + new.reward_evaluations,
        )
    return found
