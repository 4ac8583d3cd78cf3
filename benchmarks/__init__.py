"""Named questions about the speed of an import, answered by contenders that each run alone in a fresh process."""
