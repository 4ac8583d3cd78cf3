"""What a user could pick instead, against asyncimport: the same events to the same server, each contender alone in its process."""
