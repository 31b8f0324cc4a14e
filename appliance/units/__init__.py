"""Units of systemd; `install.sh service` fills them in."""
