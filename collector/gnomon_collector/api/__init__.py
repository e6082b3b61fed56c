"""The REST API for reading, under ``/api/v1``: what the dashboard shows, for notebooks, CI and other"
" programs."""
