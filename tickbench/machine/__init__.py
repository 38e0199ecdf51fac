"""The machine that is measured on, and whether it is fit for it."""
