"""Pages of which a part is made: what stands between the marks `<!-- name -->` and `<!-- /name -->`."""


def filled(page: str, name: str, made: str) -> str:
    """The page with what was made between the marks of this name.

    Raises:
        ValueError: it does not have each of them once.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{made}{end}{after}"
