package main

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/oauthflow"
	"github.com/latchkey-mcp/latchkey/oauthflow/authserver"
	"github.com/latchkey-mcp/latchkey/store/audit"
)

// serveCommand is the settings of "latchkey serve". Every flag --a-b is also
// LATCHKEY_A_B in the environment and a-b in the settings file.
type serveCommand struct {
	Vault vaultFlags `embed:""`

	Listen    text `default:"127.0.0.1:8420" env:"LATCHKEY_LISTEN" help:"Address to listen on."`
	PublicURL text `name:"public-url" placeholder:"URL" env:"LATCHKEY_PUBLIC_URL" help:"Our origin as people and clients see it: https, or http on loopback."`

	Issuer         text        `placeholder:"URL" env:"LATCHKEY_ISSUER" group:"people" help:"Your authorization server. Our pages' redirect URI is PUBLIC-URL/signin/callback."`
	IssuerClient   clientFlags `embed:"" prefix:"issuer-client-" envprefix:"LATCHKEY_ISSUER_CLIENT_" group:"people"`
	SkipTypeCheck  toggle      `name:"skip-access-token-type-check" env:"LATCHKEY_SKIP_ACCESS_TOKEN_TYPE_CHECK" group:"people" help:"Accept access tokens whose type isn't at+jwt (RFC 9068), for an --issuer that doesn't set it."`
	Upstream       text        `name:"upstream-issuer" placeholder:"URL" env:"LATCHKEY_UPSTREAM_ISSUER" group:"people" help:"Or an OpenID provider, behind our built-in authorization server. The redirect URI is PUBLIC-URL/authorize/upstream."`
	UpstreamClient clientFlags `embed:"" prefix:"upstream-client-" envprefix:"LATCHKEY_UPSTREAM_CLIENT_" group:"people"`

	GitHub       providerFlags `embed:"" prefix:"github-" envprefix:"LATCHKEY_GITHUB_" group:"github"`
	GitHubApp    text          `name:"github-app-kind" placeholder:"KIND" default:"oauth-app" env:"LATCHKEY_GITHUB_APP_KIND" group:"github" help:"What the client is: an oauth-app, whose tools ask for the scope repo; an oauth-app-public, whose tools see and change public repositories only; or a github-app, which has permissions and installations."`
	GitHubRevoke text          `name:"github-revoke" placeholder:"WHAT" default:"token" env:"LATCHKEY_GITHUB_REVOKE" group:"github" help:"What a disconnect ends at GitHub: token, the one that is disconnected, or grant, every token that the account ever gave the client, also those of other people and installations that use it."`
	Google       providerFlags `embed:"" prefix:"google-" envprefix:"LATCHKEY_GOOGLE_" group:"google"`

	ProviderFile []text `placeholder:"FILE" env:"LATCHKEY_PROVIDER_FILE" help:"A JSON file that describes another OAuth 2.0 provider, with the redirect URI PUBLIC-URL/callback/NAME. May be repeated."`

	Tools toolFlags `embed:""`

	MetricsListen      text   `placeholder:"ADDRESS" env:"LATCHKEY_METRICS_LISTEN" help:"Serve Prometheus metrics there, at /metrics and without a sign-in: a loopback address, like 127.0.0.1:9420."`
	SkipMetricsAddress toggle `name:"skip-metrics-loopback-check" env:"LATCHKEY_SKIP_METRICS_LOOPBACK_CHECK" help:"Let --metrics-listen be any address, for a network that only your monitoring reaches."`

	AuditDays     text   `name:"audit-retention-days" default:"400" env:"LATCHKEY_AUDIT_RETENTION_DAYS" help:"How many days the audit record is kept for, 2 or more; 0 keeps it for ever."`
	AllowedOrigin []text `placeholder:"ORIGIN" env:"LATCHKEY_ALLOWED_ORIGIN" help:"Let MCP clients on web pages of this origin call us. May be repeated."`
}

// Help is for latchkey serve --help.
func (serveCommand) Help() string {
	return "Every flag --a-b is also LATCHKEY_A_B in the environment, and a-b in the file of --config."
}

// clientFlags are an OAuth client of ours somewhere.
type clientFlags struct {
	ID         text `placeholder:"ID" env:"ID" help:"Our client's id there."`
	Secret     text `placeholder:"SECRET" env:"SECRET" help:"Its secret; better not on a command line."`
	SecretFile text `placeholder:"FILE" env:"SECRET_FILE" help:"A file that holds the secret."`
}

// providerFlags are one provider's settings.
type providerFlags struct {
	Client   clientFlags `embed:"" prefix:"client-" envprefix:"CLIENT_"`
	OAuthURL text        `name:"oauth-url" placeholder:"URL" env:"OAUTH_URL" help:"Base URL of its OAuth endpoints, where it isn't the public one."`
	APIURL   text        `name:"api-url" placeholder:"URL" env:"API_URL" help:"Base URL of its API, where it isn't the public one."`
}

// settings checks everything and returns all mistakes at once.
func (c *serveCommand) settings() (config, error) {
	var m mistakes
	cfg := config{
		Public:        c.publicURL(&m),
		Data:          c.Vault.data(&m),
		KeysFile:      string(c.Vault.KeysFile),
		Keys:          c.Vault.keys(&m),
		KeysKMS:       c.Vault.kms(&m),
		AcceptJWTType: c.SkipTypeCheck.on("skip-access-token-type-check", &m),

		AuditRetention: c.auditRetention(&m),
		Modules:        c.Tools.choose(appKind(c.GitHubApp).modules(allModules()), &m),
	}
	if _, _, err := splitAddress(string(c.Listen)); err != nil {
		m.add("listen", "%q is not host:port", c.Listen)
	}
	c.metricsAddress(&m)
	c.signIn(&cfg, &m)
	c.providers(&cfg, &m)
	for _, o := range c.AllowedOrigin {
		if u, err := url.Parse(string(o)); err != nil || u.Host == "" || u.Scheme+"://"+u.Host != string(o) {
			m.add("allowed-origin", "%q is not an origin like https://app.example", o)
			continue
		}
		cfg.AllowedOrigins = append(cfg.AllowedOrigins, string(o))
	}
	return cfg, m.err()
}

// metricsAddress checks where metrics are served: they say how much this server is
// used, and nobody signs in to read them.
func (c *serveCommand) metricsAddress(m *mistakes) {
	anywhere := c.SkipMetricsAddress.on("skip-metrics-loopback-check", m)
	if c.MetricsListen == "" {
		if anywhere {
			m.add("skip-metrics-loopback-check", "is given without %s", setting("metrics-listen"))
		}
		return
	}
	host, _, err := splitAddress(string(c.MetricsListen))
	switch {
	case err != nil:
		m.add("metrics-listen", "%q is not host:port", c.MetricsListen)
	case !isLoopback(host) && !anywhere:
		m.add("metrics-listen", "%q is not a loopback address, and everyone who reaches it can read the metrics: use one, or add %s",
			c.MetricsListen, setting("skip-metrics-loopback-check"))
	}
}

// publicURL is our origin, without a slash at its end.
func (c *serveCommand) publicURL(m *mistakes) string {
	if c.PublicURL == "" {
		m.add("public-url", "is missing: give the origin that people and clients use, like https://latchkey.example")
		return ""
	}
	u := checkURL("public-url", string(c.PublicURL), m)
	if u == nil {
		return ""
	}
	if strings.Trim(u.Path, "/") != "" {
		m.add("public-url", "must be an origin, without the path %q", u.Path)
	}
	host := strings.ToLower(u.Host)
	if u.Port() == map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return u.Scheme + "://" + host
}

func (c *serveCommand) auditRetention(m *mistakes) time.Duration {
	const day, most = 24 * time.Hour, 100 * 366
	days, err := strconv.Atoi(string(c.AuditDays))
	keep := time.Duration(days) * day
	if err != nil || days > most || days != 0 && keep < audit.ShortestRetention {
		m.add("audit-retention-days", "%q is not a number of days from 2 to %d, or 0 for ever", c.AuditDays, most)
		return 0
	}
	return keep
}

// signIn fills in where people sign in: exactly one of the two ways.
func (c *serveCommand) signIn(cfg *config, m *mistakes) {
	switch {
	case c.Issuer == "" && c.Upstream == "" && c.IssuerClient == clientFlags{} && c.UpstreamClient == clientFlags{}:
		m.add("issuer", "is missing, and so is %s: say where people sign in (made-up people exist only in latchkey demo)",
			setting("upstream-issuer"))
	case c.Issuer != "" && c.Upstream != "":
		m.add("issuer", "and %s exclude each other: give one", setting("upstream-issuer"))
	}
	if c.IssuerClient.wanted("issuer", c.Issuer, m) {
		id, secret := c.IssuerClient.read("issuer-client-", m)
		cfg.External = &externalIssuer{Issuer: string(c.Issuer), ClientID: id, ClientSecret: secret}
	}
	if c.UpstreamClient.wanted("upstream-issuer", c.Upstream, m) {
		id, secret := c.UpstreamClient.read("upstream-client-", m)
		cfg.Upstream = &authserver.Upstream{Issuer: string(c.Upstream), ClientID: id, ClientSecret: secret}
	}
}

// wanted reports whether the issuer that flag names is given, and so its client
// needed.
func (f clientFlags) wanted(flag string, issuer text, m *mistakes) bool {
	if issuer == "" {
		if f != (clientFlags{}) {
			m.add(flag, "is missing, while its client is given")
		}
		return false
	}
	checkURL(flag, string(issuer), m)
	return true
}

// read is the client's id and secret; prefix is that of its flags.
func (f clientFlags) read(prefix string, m *mistakes) (id, secret string) {
	if f.ID == "" {
		m.add(prefix+"id", "is missing")
	}
	return string(f.ID), readSecret(prefix+"secret", f.Secret, f.SecretFile, m)
}

// providers fills in the providers that have a client: at least one.
func (c *serveCommand) providers(cfg *config, m *mistakes) {
	cfg.GitHub = c.GitHub.settings("github-", m)
	cfg.Google = c.Google.settings("google-", m)
	kind := appKind(c.GitHubApp)
	switch {
	case !kind.known():
		m.add("github-app-kind", "must be oauth-app, oauth-app-public or github-app, not %q", c.GitHubApp)
	case kind != oauthApp && cfg.GitHub == nil:
		m.add("github-app-kind", "is given without %s", setting("github-client-id"))
	case kind == gitHubApp:
		cfg.GitHub.App = true
	}
	switch {
	case c.GitHubRevoke != "token" && c.GitHubRevoke != "grant":
		m.add("github-revoke", "must be token or grant, not %q", c.GitHubRevoke)
	case c.GitHubRevoke == "grant" && cfg.GitHub == nil:
		m.add("github-revoke", "is given without %s", setting("github-client-id"))
	case c.GitHubRevoke == "grant":
		cfg.GitHub.RevokeGrant = true
	}
	cfg.Custom = c.customProviders(m)
	if cfg.GitHub == nil && cfg.Google == nil && len(c.ProviderFile) == 0 {
		m.add("github-client-id", "is missing, and so is %s: configure at least one provider", setting("google-client-id"))
	}
}

// settings is nil where the provider isn't configured.
func (f providerFlags) settings(prefix string, m *mistakes) *oauthflow.Settings {
	if f == (providerFlags{}) {
		return nil
	}
	s := oauthflow.Settings{OAuthURL: string(f.OAuthURL), APIURL: string(f.APIURL)}
	s.ClientID, s.ClientSecret = f.Client.read(prefix+"client-", m)
	if s.OAuthURL != "" {
		checkURL(prefix+"oauth-url", s.OAuthURL, m)
	}
	if s.APIURL != "" {
		checkURL(prefix+"api-url", s.APIURL, m)
	}
	return &s
}

// readSecret is the secret itself or the contents of the file that holds it,
// without the newline at its end.
func readSecret(flag string, value, file text, m *mistakes) string {
	switch {
	case value != "" && file != "":
		m.add(flag, "and %s exclude each other: give one", setting(flag+"-file"))
	case file != "":
		b, err := os.ReadFile(string(file))
		if err != nil {
			m.add(flag+"-file", "%v", err)
			return ""
		}
		value = text(strings.TrimRight(string(b), "\r\n"))
		if value == "" {
			m.add(flag+"-file", "%s is empty", file)
		}
	case value == "":
		m.add(flag, "is missing (or give %s)", setting(flag+"-file"))
	}
	return string(value)
}

// checkURL is raw as an absolute https URL, or http on loopback; nil, with a
// mistake, where it isn't.
func checkURL(flag, raw string, m *mistakes) *url.URL {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		m.add(flag, "is not a URL like https://host")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u
	default:
		m.add(flag, "%q must be https (plain http is for loopback only)", raw)
	}
	return nil
}

// splitAddress is a host:port address in two, its port a number: net.Listen takes
// any other port for a name to look up, and fails as if the host were wrong.
func splitAddress(addr string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return host, port, err
}

// isLoopback reports whether host is localhost or a loopback address.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}
