"""Policies by name: to add one, write its class in a file and enter it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policygrad_metrics.core.checks import choose
from policygrad_metrics.policies.base import Policy
from policygrad_metrics.policies.binned_regression import BinnedRegression
from policygrad_metrics.policies.continuation_ratio import ContinuationRatio
from policygrad_metrics.policies.cumulative_link import CumulativeLink
from policygrad_metrics.policies.sigmoid import Sigmoid
from policygrad_metrics.policies.softmax import Softmax

#: name -> class. To add a policy, add its file to this folder and its row here.
POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (Softmax, Sigmoid, CumulativeLink, ContinuationRatio, BinnedRegression)
}


def get_policy(policy: str | Policy | Mapping[str, Any]) -> Policy:
    """Return a policy from its name, from itself or from what its `get_config` returned.

    Args:
        policy: A name out of `POLICIES` (the policy with its defaults), an instance, or a config:
            a mapping with the entry "name" and the policy's arguments.

    Raises:
        ValueError: The name is not known, or an argument is missing or not known.
        TypeError: `policy` is none of the three.

    >>> get_policy("softmax")
    Softmax()
    >>> get_policy({"name": "cumulative_link", "link": "normal"})
    CumulativeLink(link='normal')
    >>> get_policy("sigmod")
    Traceback (most recent call last):
    ValueError: policy='sigmod' is not known; did you mean 'sigmoid'? Allowed: ...
    """
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str):
        return POLICIES[choose("policy", policy, POLICIES)].from_config({})
    if isinstance(policy, Mapping):
        return POLICIES[choose("policy['name']", policy.get("name"), POLICIES)].from_config(policy)
    raise TypeError(
        f"policy must be a name ({', '.join(map(repr, sorted(POLICIES)))}), a Policy or a config, "
        f"got {policy!r}; give an instance, for example Softmax()."
    )
