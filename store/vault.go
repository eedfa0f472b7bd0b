package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/sync/singleflight"
)

// Config is what a Vault is made of.
type Config struct {
	Backend  Backend
	Keys     *Keys
	Exchange Exchange
	// Issuer is the one whose principals this vault holds. It is fixed at first
	// start; opening the vault with another one fails.
	Issuer string
	Now    func() time.Time // nil means time.Now
	// Log is told what an operator must know and no caller can be told; nil means
	// slog.Default.
	Log *slog.Logger
	// Observe is told what happened, for counting; nil means that nobody is. It is
	// called from many goroutines, and must return at once.
	Observe func(e Event, provider string)
}

// A Vault holds everybody's grants and hands out none: Keyring does, to one
// verified caller. It is safe for concurrent use.
type Vault struct {
	backend  Backend
	exchange Exchange
	issuer   string
	restored time.Time // from a backup; zero where it never was
	keys     *Keys
	aead     tink.AEAD
	audit    *audit.Log
	log      *slog.Logger
	now      func() time.Time
	observer func(Event, string)
	flights  singleflight.Group
	early    sync.Map       // flights that nobody waits for, by name
	running  sync.WaitGroup // what must not be cut short: refreshes and revocations
	closing  chan struct{}  // closed by Close: who waits for another process gives up
	closed   sync.Once
	bells    bells
}

// Open ties the backend to cfg.Issuer and cfg.Keys, or fails where it is tied to
// others.
func Open(ctx context.Context, cfg Config) (*Vault, error) {
	if cfg.Backend == nil || cfg.Keys == nil || cfg.Exchange == nil || cfg.Issuer == "" {
		return nil, errors.New("a vault needs a backend, keys, an exchange and an issuer")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := tieIssuer(ctx, cfg.Backend, cfg.Issuer); err != nil {
		return nil, err
	}
	aead, err := tie(ctx, cfg.Backend, cfg.Keys)
	if err != nil {
		return nil, err
	}
	restored, err := lastRestored(ctx, cfg.Backend)
	if err != nil {
		return nil, err
	}
	cfg.Keys.aead.reports(cfg.Log, cfg.Now)
	v := &Vault{
		backend: cfg.Backend, keys: cfg.Keys, exchange: cfg.Exchange, issuer: cfg.Issuer,
		restored: restored, aead: aead, log: cfg.Log, now: cfg.Now, observer: cfg.Observe, closing: make(chan struct{}),
	}
	v.audit = audit.NewLog(audit.Config{
		Table: cfg.Backend.Audit(), Seal: AuditSeal(cfg.Keys), Now: cfg.Now, Report: v.report,
	})
	v.checkAudit(ctx, false)
	return v, nil
}

// OtherIssuer stops a start: the vault holds the people of the issuer Kept, and
// under another one every grant would be orphaned without a word.
type OtherIssuer struct{ Kept, Configured string }

func (e *OtherIssuer) Error() string {
	return fmt.Sprintf("this vault belongs to issuer %s but %s is configured: "+
		"configure the former again, or start with an empty data directory", e.Kept, e.Configured)
}

// tieIssuer stops a start under another issuer, where every grant would be
// orphaned without a word.
func tieIssuer(ctx context.Context, b Backend, issuer string) error {
	kept, err := b.Fix(ctx, "issuer", issuer)
	if err != nil {
		return err
	}
	if kept != issuer {
		return &OtherIssuer{Kept: kept, Configured: issuer}
	}
	return nil
}

// tie is keys for this deployment's vault: what it seals doesn't open in another one,
// also where both have the same keys and issuer. The deployment's id is made at the
// first start.
func tie(ctx context.Context, b Backend, keys *Keys) (tink.AEAD, error) {
	if err := tieKeys(ctx, b, keys); err != nil {
		return nil, err
	}
	deployment, err := b.Fix(ctx, "deployment", rand.Text())
	if err != nil {
		return nil, err
	}
	return purposeAEAD{keys.aead, fields("latchkey deployment v1", deployment)}, nil
}

// RestoredFact is the fact in which a backend keeps when it was last restored from a
// backup (RFC 3339); "" where it never was.
const RestoredFact = "restored"

func lastRestored(ctx context.Context, b Backend) (time.Time, error) {
	kept, err := b.Fix(ctx, RestoredFact, "")
	if err != nil || kept == "" {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, kept)
}

// keyCheck is the fact that says whether keys are the right ones.
const keyCheck = "key check"

// tieKeys stops a start with other keys than the vault was sealed with: a value
// sealed at the first start must open.
func tieKeys(ctx context.Context, b Backend, keys *Keys) error {
	opens, err := opensVault(ctx, b, keys.aead)
	if err != nil {
		return err
	}
	if !opens {
		return keys.wrong()
	}
	keys.aead.tie(func(next tink.AEAD) bool {
		opens, err := opensVault(context.Background(), b, next)
		return err == nil && opens
	})
	return nil
}

// opensVault reports whether keys open the check, which they are to make where there
// is none.
func opensVault(ctx context.Context, b Backend, keys tink.AEAD) (bool, error) {
	value, err := newKeyCheck(keys)
	if err != nil {
		return false, err
	}
	kept, err := b.Fix(ctx, keyCheck, value)
	if err != nil {
		return false, err
	}
	check, err := base64.StdEncoding.DecodeString(kept)
	if err == nil {
		_, err = keys.Decrypt(check, fields("latchkey key check v1"))
	}
	return err == nil, nil
}

func newKeyCheck(keys tink.AEAD) (string, error) {
	sealed, err := keys.Encrypt([]byte("latchkey"), fields("latchkey key check v1"))
	return base64.StdEncoding.EncodeToString(sealed), err
}

// Keyring is c's own. ErrNobody on the zero Caller, and on one of another issuer.
func (v *Vault) Keyring(c identity.Caller) (Keyring, error) {
	who := c.Principal()
	if who.IsZero() {
		return Keyring{}, ErrNobody
	}
	if who.Issuer() != v.issuer {
		return Keyring{}, fmt.Errorf("%w by this vault's issuer", ErrNobody)
	}
	return Keyring{vault: v, who: who, owner: who.Digest(), client: c.ClientID()}, nil
}

// Refuse records a refusal that happened outside the vault: a link opened by
// somebody else, an egress outside the contract. c may be nobody. Event, Time,
// Owner and Client of e are filled in here.
func (v *Vault) Refuse(ctx context.Context, c identity.Caller, e audit.Entry) error {
	e.Event = audit.Refuse
	v.observe(Withheld, e.Provider)
	e.Owner, e.Client = c.Principal().Digest(), c.ClientID()
	return v.record(ctx, e)
}

// Download records that a call of c's is about to follow a provider's redirect,
// without a credential. Where it fails, the call mustn't. Event, Time, Owner and
// Client of e are filled in here.
func (v *Vault) Download(ctx context.Context, c identity.Caller, e audit.Entry) error {
	e.Event, e.Owner, e.Client = audit.Download, c.Principal().Digest(), c.ClientID()
	return v.record(ctx, e)
}

func (v *Vault) record(ctx context.Context, e audit.Entry) error {
	_, err := v.recorded(ctx, e)
	return err
}

// Sweep removes the records that have expired and says how many. Call it every
// few minutes.
func (v *Vault) Sweep(ctx context.Context) (int64, error) {
	return v.backend.Records().Sweep(ctx, v.now())
}

// Close waits for the refreshes and revocations under way, which end by their own
// deadlines, ends the audit record and closes the backend. Nobody may use the vault any more.
func (v *Vault) Close() error {
	v.closed.Do(func() { close(v.closing) })
	v.running.Wait()
	v.keys.aead.tie(nil)
	return errors.Join(v.audit.Close(), v.backend.Close())
}

// AEAD seals short-lived values (session ids, cookies, request states) with the
// vault's keys; what is sealed for one purpose doesn't open for another.
func (v *Vault) AEAD(purpose string) tink.AEAD {
	return purposeAEAD{v.aead, fields("latchkey purpose v1", purpose)}
}

type purposeAEAD struct {
	aead   tink.AEAD
	prefix []byte
}

func (p purposeAEAD) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return p.aead.Encrypt(plaintext, p.bind(associatedData))
}

func (p purposeAEAD) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return p.aead.Decrypt(ciphertext, p.bind(associatedData))
}

func (p purposeAEAD) bind(associatedData []byte) []byte {
	return append(p.prefix[:len(p.prefix):len(p.prefix)], associatedData...)
}
