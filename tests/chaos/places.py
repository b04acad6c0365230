"""Where in a graph a fault is: at the node's function, at one of its inputs or of its outputs."""

from __future__ import annotations

from tests.chaos.cases import Case, NodeCase
from tests.chaos.faults import UNPICKLABLE, Fault

# The kind of an input that no other node loads; else the fault would be of that node, too.
AT_INPUT = {
    "load": "file",
    "unpickle": "memory",
    "load hook": "worker id",
    "run hook": "worker id",
}


def place_fault(case: Case, fault: Fault, maker: NodeCase | None = None) -> None:
    """Give a node a fault, and the dataset that is needed for it.

    Args:
        case: What the node belongs to.
        fault: The fault, with the name of the node.
        maker: The node that makes the dataset if it is an input; else it is there from the
            beginning.
    """
    node = case.node(fault.node)
    node.fault = fault
    if fault.kind == UNPICKLABLE:
        node.fault_at = add_handle(case, node)
    elif fault.place in AT_INPUT:
        node.fault_at = _add_input(case, node, fault.place, maker)
    elif fault.place != "run":
        node.fault_at = f"{node.name}_{fault.place}"
        node.outputs[node.fault_at] = "parcel" if fault.place == "pickle" else "number"
        if fault.place == "save":
            case.kinds[node.fault_at] = "file"


def add_handle(case: Case, node: NodeCase) -> str:
    """Let a node make something that cannot leave its process; the name of the dataset."""
    name = f"{node.name}_handle"
    node.outputs[name] = "handle"
    case.kinds[name] = "assigned"
    return name


def _add_input(case: Case, node: NodeCase, place: str, maker: NodeCase | None) -> str:
    name = f"{node.name}_{place.replace(' ', '_')}"
    node.inputs.append(name)
    case.kinds[name] = AT_INPUT[place]
    if maker is not None and "hook" not in place:
        maker.outputs[name] = "parcel"
    else:
        case.values[name] = 3
    return name
