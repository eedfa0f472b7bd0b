package page

import "testing"

func TestSource(t *testing.T) {
	for uri, want := range map[string]string{
		"https://app.example:8443/cb?x": "https://app.example:8443", "http://127.0.0.1:7000/cb": "http://127.0.0.1:7000",
		"http://[::1]:7000/cb": "http:", "cursor://x.y/cb": "cursor:", "com.example.app:/cb": "com.example.app:",
		"https://a;script-src": "'none'", "https://*.example/": "'none'", "/here": "'none'",
	} {
		if got := source(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}
