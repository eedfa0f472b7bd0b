package authserver

import (
	"strings"
	"testing"
)

func TestCheckRedirect(t *testing.T) {
	good := []string{
		"https://app.example/cb", "https://app.example:8443/cb?x=1", "https://[2001:db8::1]/cb", "https://app.example",
		"http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://[::1]:7000/", "http://localhost:33418",
		"cursor://anysphere.cursor-mcp/oauth/callback", "vscode://vscode.mcp/callback", "com.example.app:/oauth",
	}
	for _, uri := range good {
		if err := checkRedirect(uri); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	bad := []string{
		"", "/cb", "app.example/cb", "//app.example/cb", "https:///cb", "https://", "https:app.example/cb",
		"https://app.example/cb#", "https://app.example/cb#f", "https://u@app.example/cb", "https://u:p@app.example/cb",
		"http://app.example/cb", "http://127.0.0.2/cb", "http://localhost.evil.example/cb", "http://0.0.0.0/cb",
		"http://127.0.0.1@evil.example/cb", "http://2130706433/cb", "http://LOCALHOST/cb", "http://localhost./cb",
		"javascript:alert(1)", "javascript://app.example/%0aalert(1)", "JavaScript://x/y", "data:text/html,x", "data://x",
		"file:///etc/passwd", "blob:https://app.example/1", "vbscript://x", "ms-msdt://x", "about:blank", "ws://127.0.0.1/",
		"https://app.example/a b", "https://app.example/\n", "https://app.example\\@evil.example/", "https://é.example/",
		"https://a;script-src https://evil.example/", "https://a;b/", "https://a,b/", "https://a'b/", `https://a/"x`, "https://a/<x>",
		"https://app.example/" + strings.Repeat("a", maxURL), "mailto:a@b.example", "urn:ietf:wg:oauth:2.0:oob",
	}
	for _, uri := range bad {
		if checkRedirect(uri) == nil {
			t.Errorf("%q passes", uri)
		}
	}
}
