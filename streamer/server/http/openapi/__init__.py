"""The API's description in OpenAPI. Runs in the streamer's process."""
