"""The error for what is no input: Ray, or a machine, that has not what a study needs."""


class InfrastructureError(RuntimeError):
    """Ray cannot be started or reached, or lacks what a trial asks for."""
