"""The suites that come with tickbench, as TOML files; :mod:`tickbench.suite` reads them."""
