"""Several servers of one backend behind HAProxy, each with rooms of its own: their settings, and how they are run."""
