"""The avatar in a browser: WebRTC, a few requests and a page."""
