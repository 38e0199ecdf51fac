"""The suites that come with tickbench, as TOML files; :mod:`tickbench.compare.suite` reads them."""
