"""The reports of a results folder: one HTML page and one Markdown file, made of nothing but the folder."""
