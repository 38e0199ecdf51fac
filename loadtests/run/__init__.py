"""The life of a load run: the conductor says when each phase begins, the workers carry it out."""
