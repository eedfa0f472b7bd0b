package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/oauthflow"
	"github.com/latchkey-mcp/latchkey/oauthflow/authserver"
)

// latchkey runs the program with args and returns what it prints and its exit code.
func latchkey(args ...string) (stdout, stderr string, code int) {
	var out, err bytes.Buffer
	code = program{stdout: &out, stderr: &err}.Run(context.Background(), args)
	return out.String(), err.String(), code
}

// serveSettings is what args (and the environment) make of "latchkey serve".
func serveSettings(t *testing.T, args ...string) (config, error) {
	t.Helper()
	c, err := program{}.parse(append([]string{"serve"}, args...))
	if err != nil {
		return config{}, err
	}
	return c.(*serveCommand).settings()
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		name, args string
		code       int
		out, err   string // parts
	}{
		{"help", "--help", 0, "Try Latchkey", ""},
		{"demo help", "demo --help", 0, "--listen=\"127.0.0.1:8420\"", ""},
		{"serve help", "serve --help", 0, "LATCHKEY_A_B", ""},
		{"version", "version", 0, "latchkey " + version, ""},
		{"nothing", "", 2, "", "latchkey --help"},
		{"unknown command", "sevre", 2, "", "latchkey --help"},
		{"unknown flag", "demo --lisen 127.0.0.1:1", 2, "", "did you mean \"--listen\""},
		{"demo for everybody", "demo --listen 0.0.0.0:8420", 2, "", "use 127.0.0.1:8420, or latchkey serve"},
		{"demo on all addresses", "demo --listen :8420", 2, "", "use 127.0.0.1:8420, or latchkey serve"},
		{"demo on a name", "demo --listen example.com:8420", 2, "", "loopback only"},
		{"demo on a name like loopback", "demo --listen 127.0.0.1.example.com:8420", 2, "", "loopback only"},
		{"demo without a port", "demo --listen 127.0.0.1", 2, "", "not host:port"},
		{"demo with a word for a port", "demo --listen 127.0.0.1:abc", 2, "", "not host:port"},
		{"demo with a port too large", "demo --listen 127.0.0.1:65536", 2, "", "not host:port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err, code := latchkey(strings.Fields(tt.args)...)
			if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(err, tt.err) {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
			}
			if lines := strings.Count(err, "\n"); tt.code != 0 && lines != 1 {
				t.Errorf("%d lines on stderr, want one:\n%s", lines, err)
			}
		})
	}
}

// good is a complete set of settings.
var good = map[string]string{
	"LATCHKEY_PUBLIC_URL":           "https://latchkey.example",
	"LATCHKEY_DATA":                 "/data",
	"LATCHKEY_ISSUER":               "https://issuer.example",
	"LATCHKEY_ISSUER_CLIENT_ID":     "pages",
	"LATCHKEY_ISSUER_CLIENT_SECRET": "issuer-secret",
	"LATCHKEY_GITHUB_CLIENT_ID":     "Iv1.x",
	"LATCHKEY_GITHUB_CLIENT_SECRET": "github-secret",
}

// environment sets exactly base with changes; "" removes.
func environment(t *testing.T, base map[string]string, changes ...string) {
	t.Helper()
	for name, value := range base {
		t.Setenv(name, value)
	}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		t.Setenv(name, value)
		if value == "" {
			check(t, os.Unsetenv(name))
		}
	}
}

func TestServeSettings(t *testing.T) {
	environment(t, good, "LATCHKEY_GITHUB_APP_KIND=github-app", "LATCHKEY_ALLOWED_ORIGIN=https://a.example,https://b.example",
		"LATCHKEY_GITHUB_API_URL=https://ghe.example/api/v3")
	got, err := serveSettings(t, "--public-url", "https://Flag.example:443/", "--github-oauth-url", "http://127.0.0.1:4000", "--github-revoke", "grant")
	check(t, err)
	want := config{
		Public: "https://flag.example", Data: "/data",
		External: &externalIssuer{"https://issuer.example", "pages", "issuer-secret"},
		GitHub: &oauthflow.Settings{
			ClientID: "Iv1.x", ClientSecret: "github-secret", App: true, RevokeGrant: true,
			OAuthURL: "http://127.0.0.1:4000", APIURL: "https://ghe.example/api/v3",
		},
		AllowedOrigins: []string{"https://a.example", "https://b.example"},
		AuditRetention: 400 * 24 * time.Hour,
	}
	if len(got.Modules) != len(allModules()) {
		t.Errorf("%d modules", len(got.Modules))
	}
	got.Modules = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMetricsSettings(t *testing.T) {
	environment(t, good, "LATCHKEY_METRICS_LISTEN=127.0.0.1:9420")
	_, err := serveSettings(t)
	check(t, err)
	_, err = serveSettings(t, "--metrics-listen", "[::1]:9420")
	check(t, err)
	_, err = serveSettings(t, "--metrics-listen", "10.0.0.1:9420", "--skip-metrics-loopback-check")
	check(t, err)
}

func TestUpstreamSettings(t *testing.T) {
	environment(t, good, "LATCHKEY_ISSUER=", "LATCHKEY_ISSUER_CLIENT_ID=", "LATCHKEY_ISSUER_CLIENT_SECRET=",
		"LATCHKEY_UPSTREAM_ISSUER=https://accounts.example", "LATCHKEY_UPSTREAM_CLIENT_ID=up", "LATCHKEY_UPSTREAM_CLIENT_SECRET=s")
	got, err := serveSettings(t)
	check(t, err)
	if diff := cmp.Diff(&authserver.Upstream{Issuer: "https://accounts.example", ClientID: "up", ClientSecret: "s"}, got.Upstream); diff != "" || got.External != nil {
		t.Error(diff, got.External)
	}
	if got.issuer() != "https://latchkey.example" {
		t.Errorf("the issuer is %s, not our origin", got.issuer())
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct {
		name    string
		changes []string
		want    string
	}{
		{"no public URL", []string{"LATCHKEY_PUBLIC_URL="}, "--public-url (LATCHKEY_PUBLIC_URL): is missing"},
		{"plain http", []string{"LATCHKEY_PUBLIC_URL=http://latchkey.example"}, "--public-url (LATCHKEY_PUBLIC_URL): \"http://latchkey.example\" must be https"},
		{"a path", []string{"LATCHKEY_PUBLIC_URL=https://x.example/latchkey"}, "must be an origin"},
		{"no sign-in", []string{"LATCHKEY_ISSUER=", "LATCHKEY_ISSUER_CLIENT_ID=", "LATCHKEY_ISSUER_CLIENT_SECRET="}, "made-up people exist only in latchkey demo"},
		{"a client without its issuer", []string{"LATCHKEY_ISSUER="}, "--issuer (LATCHKEY_ISSUER): is missing, while its client is given"},
		{"a KMS of no kind", []string{"LATCHKEY_KEYS_KMS=azure-kms://vault/key"}, "--keys-kms (LATCHKEY_KEYS_KMS): there is no KMS of the kind azure-kms://"},
		{"a password in a KMS key", []string{"LATCHKEY_KEYS_KMS=hcvault://u:hunter2@vault/t/keys/k"}, "--keys-kms (LATCHKEY_KEYS_KMS): is not a KMS key's URI"},
		{"two sign-ins", []string{"LATCHKEY_UPSTREAM_ISSUER=https://u.example", "LATCHKEY_UPSTREAM_CLIENT_ID=u", "LATCHKEY_UPSTREAM_CLIENT_SECRET=u"}, "--issuer (LATCHKEY_ISSUER): and --upstream-issuer (LATCHKEY_UPSTREAM_ISSUER) exclude each other"},
		{"no issuer client", []string{"LATCHKEY_ISSUER_CLIENT_ID="}, "--issuer-client-id (LATCHKEY_ISSUER_CLIENT_ID): is missing"},
		{"no provider", []string{"LATCHKEY_GITHUB_CLIENT_ID=", "LATCHKEY_GITHUB_CLIENT_SECRET="}, "configure at least one provider"},
		{"half a provider", []string{"LATCHKEY_GITHUB_CLIENT_SECRET="}, "--github-client-secret (LATCHKEY_GITHUB_CLIENT_SECRET): is missing"},
		{"an app of no client", []string{"LATCHKEY_GITHUB_CLIENT_ID=", "LATCHKEY_GITHUB_CLIENT_SECRET=", "LATCHKEY_GITHUB_APP_KIND=github-app", "LATCHKEY_GOOGLE_CLIENT_ID=g", "LATCHKEY_GOOGLE_CLIENT_SECRET=g"}, "--github-app-kind (LATCHKEY_GITHUB_APP_KIND): is given without --github-client-id"},
		{"an app of no kind", []string{"LATCHKEY_GITHUB_APP_KIND=app"}, "--github-app-kind (LATCHKEY_GITHUB_APP_KIND): must be oauth-app, oauth-app-public or github-app, not \"app\""},
		{"not a boolean", []string{"LATCHKEY_READ_ONLY=maybe"}, "--read-only (LATCHKEY_READ_ONLY): must be true or false"},
		{"no such tool to deny", []string{"LATCHKEY_DENY_TOOL=github_write_isue"}, "--deny-tool (LATCHKEY_DENY_TOOL): there is no tool or module \"github_write_isue\""},
		{"no tool left", []string{"LATCHKEY_ALLOW_TOOL=github_write_issue", "LATCHKEY_READ_ONLY=true"}, "--allow-tool (LATCHKEY_ALLOW_TOOL): no tool is left"},
		{"what to revoke", []string{"LATCHKEY_GITHUB_REVOKE=all"}, "--github-revoke (LATCHKEY_GITHUB_REVOKE): must be token or grant"},
		{"revoking for no client", []string{"LATCHKEY_GITHUB_CLIENT_ID=", "LATCHKEY_GITHUB_CLIENT_SECRET=", "LATCHKEY_GITHUB_REVOKE=grant", "LATCHKEY_GOOGLE_CLIENT_ID=g", "LATCHKEY_GOOGLE_CLIENT_SECRET=g"}, "--github-revoke (LATCHKEY_GITHUB_REVOKE): is given without --github-client-id"},
		{"metrics for everybody", []string{"LATCHKEY_METRICS_LISTEN=0.0.0.0:9420"}, "--metrics-listen (LATCHKEY_METRICS_LISTEN): \"0.0.0.0:9420\" is not a loopback address"},
		{"metrics on all addresses", []string{"LATCHKEY_METRICS_LISTEN=:9420"}, "is not a loopback address"},
		{"metrics nowhere", []string{"LATCHKEY_METRICS_LISTEN=9420"}, "--metrics-listen (LATCHKEY_METRICS_LISTEN): \"9420\" is not host:port"},
		{"no metrics to skip a check for", []string{"LATCHKEY_SKIP_METRICS_LOOPBACK_CHECK=true"}, "is given without --metrics-listen"},
		{"an API in the clear", []string{"LATCHKEY_GITHUB_API_URL=http://ghe.example"}, "--github-api-url (LATCHKEY_GITHUB_API_URL)"},
		{"a password in a URL", []string{"LATCHKEY_ISSUER=https://u:hunter2@x.example"}, "--issuer (LATCHKEY_ISSUER): is not a URL"},
		{"too short a retention", []string{"LATCHKEY_AUDIT_RETENTION_DAYS=1"}, "--audit-retention-days (LATCHKEY_AUDIT_RETENTION_DAYS): \"1\" is not a number of days from 2"},
		{"a retention of no days", []string{"LATCHKEY_AUDIT_RETENTION_DAYS=400d"}, "--audit-retention-days"},
		{"not an origin", []string{"LATCHKEY_ALLOWED_ORIGIN=https://a.example/"}, "--allowed-origin (LATCHKEY_ALLOWED_ORIGIN)"},
		{"not an address", []string{"LATCHKEY_LISTEN=8420"}, "--listen (LATCHKEY_LISTEN)"},
		{"no secret file", []string{"LATCHKEY_GITHUB_CLIENT_SECRET=", "LATCHKEY_GITHUB_CLIENT_SECRET_FILE=/nowhere/secret"}, "--github-client-secret-file (LATCHKEY_GITHUB_CLIENT_SECRET_FILE): open /nowhere/secret"},
		{"a word for a port", []string{"LATCHKEY_LISTEN=127.0.0.1:abc"}, "--listen (LATCHKEY_LISTEN): \"127.0.0.1:abc\" is not host:port"},
		{"secret and file", []string{"LATCHKEY_GITHUB_CLIENT_SECRET_FILE=/x"}, "--github-client-secret (LATCHKEY_GITHUB_CLIENT_SECRET): and --github-client-secret-file (LATCHKEY_GITHUB_CLIENT_SECRET_FILE) exclude each other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, good, tt.changes...)
			_, err, code := latchkey("serve")
			if code != 1 || !strings.Contains(err, tt.want) || strings.Count(err, "\n") != 1 {
				t.Errorf("exit code %d and\n%swant one mistake with %q", code, err, tt.want)
			}
			hidesSecrets(t, err, "issuer-secret", "github-secret", "hunter2")
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	environment(t, good, "LATCHKEY_PUBLIC_URL=ftp://x", "LATCHKEY_ISSUER_CLIENT_ID=", "LATCHKEY_GITHUB_CLIENT_ID=",
		"LATCHKEY_GITHUB_APP_KIND=perhaps", "LATCHKEY_GOOGLE_CLIENT_ID=g", "LATCHKEY_LISTEN=nowhere")
	_, err, code := latchkey("serve")
	for _, flag := range []string{"public-url", "listen", "issuer-client-id", "github-client-id", "github-app-kind", "google-client-secret"} {
		if !strings.Contains(err, setting(flag)) {
			t.Errorf("no word of %s", flag)
		}
	}
	if !strings.Contains(err, "6 settings are wrong") || code != 1 {
		t.Errorf("exit code %d:\n%s", code, err)
	}
	hidesSecrets(t, err, "issuer-secret", "github-secret")
}

func hidesSecrets(t *testing.T, printed string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(printed, s) {
			t.Errorf("a secret is printed:\n%s", printed)
		}
	}
}

func TestHelpHidesSecrets(t *testing.T) {
	environment(t, good)
	out, err, _ := latchkey("serve", "--help")
	hidesSecrets(t, out+err, "issuer-secret", "github-secret")
}

func TestSecretFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(file, []byte("from the file\n"), 0o600))
	environment(t, good, "LATCHKEY_GITHUB_CLIENT_SECRET=", "LATCHKEY_GITHUB_CLIENT_SECRET_FILE="+file)
	got, err := serveSettings(t)
	check(t, err)
	if got.GitHub.ClientSecret != "from the file" {
		t.Errorf("the secret is %q", got.GitHub.ClientSecret)
	}
}

func TestSettingsFile(t *testing.T) {
	write := func(t *testing.T, text string) string {
		file := filepath.Join(t.TempDir(), "latchkey.yaml")
		check(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	t.Run("flags and environment win", func(t *testing.T) {
		environment(t, good, "LATCHKEY_GITHUB_CLIENT_ID=", "LATCHKEY_GITHUB_CLIENT_SECRET=")
		file := write(t, `
# all of it
public-url: https://file.example
data: /file
github-client-id: 12345
github-client-secret: 67890
github-app-kind: github-app
allowed-origin:
  - https://a.example
  - https://b.example
`)
		got, err := serveSettings(t, "--config", file, "--data", "/flag")
		check(t, err)
		want := config{
			Public: "https://latchkey.example", Data: "/flag",
			External:       &externalIssuer{"https://issuer.example", "pages", "issuer-secret"},
			GitHub:         &oauthflow.Settings{ClientID: "12345", ClientSecret: "67890", App: true},
			AllowedOrigins: []string{"https://a.example", "https://b.example"},
			AuditRetention: 400 * 24 * time.Hour,
		}
		got.Modules = nil // TestServeSettings looks at them
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	bad := []struct{ name, text, want string }{
		{"unknown setting", "pubic-url: https://x\n", `unknown setting "pubic-url"`},
		{"broken", "github-client-secret: [s3cr3t\n", "not YAML"},
		{"another shape", "{public-url: https://x, github-client-secret: s3cr3t}\n", "line 1"},
		{"a list for one", "github-client-secret: [s3cr3t, s3cr3t]\n", "must be a single value"},
		{"not settings", "s3cr3t\n", "not YAML"},
	}
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, good, "LATCHKEY_GITHUB_CLIENT_SECRET=")
			_, err, code := latchkey("serve", "--config", write(t, tt.text))
			if code != 2 || !strings.Contains(err, tt.want) || strings.Count(err, "\n") != 1 {
				t.Errorf("exit code %d and\n%swant one line with %q", code, err, tt.want)
			}
			hidesSecrets(t, err, "s3cr3t")
		})
	}
}

// TestSettingNames holds that every flag has the environment name that errors and
// the documentation give it.
func TestSettingNames(t *testing.T) {
	parser, err := kong.New(&commandLine{})
	check(t, err)
	n := 0
	for _, group := range serveNode(parser.Model).AllFlags(false) {
		for _, flag := range group {
			if flag.Name == "help" || flag.Name == "config" {
				continue
			}
			n++
			if diff := cmp.Diff([]string{envName(flag.Name)}, flag.Envs); diff != "" {
				t.Errorf("--%s: %s", flag.Name, diff)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d flags", n)
	}
}
