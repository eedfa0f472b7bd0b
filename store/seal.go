package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/subtle/random"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// sealFormat is the first byte of Row.Sealed:
//
//	format ‖ field(account id) ‖ field(wrapped data key) ‖ AES-256-GCM ciphertext
//
// where a field is a length (32 bits, big endian) and that many bytes. The
// account id is in clear, the row's own, and authenticated with all else that names
// the row.
const sealFormat = 1

var errSealed = errors.New("the sealed row doesn't open")

// unopened is errSealed, unless what doesn't open may do so soon.
func unopened(err error) error {
	if errors.Is(err, errBehind) {
		return err
	}
	return errSealed
}

// A held is an opened grant.
type held struct {
	Info
	token Token
}

// secrets is what is encrypted of g: fields, of which the scopes come last. JSON would
// cost each call as much as all of the decryption.
func secrets(g held) []byte {
	return fields(append([]string{
		g.Account.Label, g.token.Access.Reveal(), g.token.Refresh.Reveal(), stamp(g.token.Expiry),
		stamp(g.token.RefreshExpiry), stamp(g.ConnectedAt), g.Broken,
	}, g.Scopes...)...)
}

// fillIn is g with what secrets wrote.
func (g held) fillIn(plain []byte) (held, error) {
	var access, refresh, expiry, refreshExpiry, connected string
	for _, to := range []*string{&g.Account.Label, &access, &refresh, &expiry, &refreshExpiry, &connected, &g.Broken} {
		field, rest, ok := cutField(plain)
		if !ok {
			return held{}, errSealed
		}
		*to, plain = string(field), rest
	}
	for len(plain) > 0 {
		scope, rest, ok := cutField(plain)
		if !ok {
			return held{}, errSealed
		}
		g.Scopes, plain = append(g.Scopes, string(scope)), rest
	}
	g.token = Token{Access: NewSecret(access), Refresh: NewSecret(refresh), Scopes: g.Scopes}
	err := errors.Join(stamped(expiry, &g.token.Expiry), stamped(refreshExpiry, &g.token.RefreshExpiry), stamped(connected, &g.ConnectedAt))
	if err != nil {
		return held{}, errSealed
	}
	return g, nil
}

// stamp is t in microseconds since 1970, "" where it is zero.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// stamped reads a stamp into t.
func stamped(text string, t *time.Time) error {
	if text == "" {
		return nil
	}
	micros, err := strconv.ParseInt(text, 10, 64)
	*t = time.UnixMicro(micros).UTC()
	return err
}

// sealed is g as a row of who's, under a data key of its own.
func sealed(keys tink.AEAD, who identity.Principal, g held) (Row, error) {
	dataKey := random.GetRandomBytes(32)
	wrapped, err := keys.Encrypt(dataKey, keyData(who.Digest(), g.Provider, g.Account.ID, g.Version))
	if err != nil {
		return Row{}, err
	}
	cipher, err := subtle.NewAESGCM(dataKey)
	if err != nil {
		return Row{}, err
	}
	ciphertext, err := cipher.Encrypt(secrets(g), grantData(who, g.Provider, g.Account.ID, g.Version))
	if err != nil {
		return Row{}, err
	}
	return Row{
		Owner: who.Digest(), Provider: g.Provider, Account: g.Account.ID, Version: g.Version, Updated: g.UpdatedAt,
		Sealed: enveloped(g.Account.ID, wrapped, ciphertext),
	}, nil
}

// opened is the grant in a row of who's. The error says nothing of the content.
func opened(keys tink.AEAD, who identity.Principal, row Row) (held, error) {
	wrapped, ciphertext, err := row.envelope()
	if err != nil {
		return held{}, err
	}
	dataKey, err := keys.Decrypt(wrapped, keyData(who.Digest(), row.Provider, row.Account, row.Version))
	if err != nil {
		return held{}, unopened(err)
	}
	cipher, err := subtle.NewAESGCM(dataKey)
	if err != nil {
		return held{}, errSealed
	}
	plain, err := cipher.Decrypt(ciphertext, grantData(who, row.Provider, row.Account, row.Version))
	if err != nil {
		return held{}, errSealed
	}
	return held{Info: Info{
		Provider: row.Provider, Account: Account{ID: row.Account}, UpdatedAt: row.Updated, Version: row.Version,
	}}.fillIn(plain)
}

// rewrapped is row.Sealed with its data key wrapped by the primary of keys; all else
// stays. It needs nobody's name, and what the data key seals isn't opened.
func rewrapped(keys tink.AEAD, row Row) ([]byte, error) {
	wrapped, ciphertext, err := row.envelope()
	if err != nil {
		return nil, err
	}
	ad := keyData(row.Owner, row.Provider, row.Account, row.Version)
	dataKey, err := keys.Decrypt(wrapped, ad)
	if err != nil {
		return nil, unopened(err)
	}
	if wrapped, err = keys.Encrypt(dataKey, ad); err != nil {
		return nil, err
	}
	return enveloped(row.Account, wrapped, ciphertext), nil
}

// keyData is the associated data of a grant's wrapped data key: what names the row,
// with the person as the row has them.
func keyData(owner identity.Digest, provider, account string, version int64) []byte {
	return fields("latchkey data key", strconv.Itoa(sealFormat), string(owner[:]), provider, account,
		strconv.FormatInt(version, 10))
}

// grantData is the associated data of a grant: whatever names the row, so that a
// swapped, relabelled or rolled-back one doesn't open.
func grantData(who identity.Principal, provider, account string, version int64) []byte {
	return fields("latchkey grant", strconv.Itoa(sealFormat), who.Issuer(), who.Subject(), provider,
		account, strconv.FormatInt(version, 10))
}

func enveloped(account string, wrapped, ciphertext []byte) []byte {
	envelope := append([]byte{sealFormat}, fields(account, string(wrapped))...)
	return append(envelope, ciphertext...)
}

// envelope is what is in row.Sealed, if it is of the row's own account.
func (row Row) envelope() (wrapped, ciphertext []byte, err error) {
	account, wrapped, ciphertext, err := envelope(row.Sealed)
	if err == nil && account != row.Account {
		err = errSealed
	}
	return wrapped, ciphertext, err
}

func envelope(sealed []byte) (account string, wrapped, ciphertext []byte, err error) {
	if len(sealed) == 0 {
		return "", nil, nil, errSealed
	}
	if sealed[0] != sealFormat {
		return "", nil, nil, fmt.Errorf("%w: its format %d is of another version of Latchkey", errSealed, sealed[0])
	}
	id, rest, ok := cutField(sealed[1:])
	if !ok {
		return "", nil, nil, errSealed
	}
	wrapped, ciphertext, ok = cutField(rest)
	if !ok {
		return "", nil, nil, errSealed
	}
	return string(id), wrapped, ciphertext, nil
}

// fields joins parts, each with its length before it, so that no two lists join
// to the same bytes.
func fields(parts ...string) []byte {
	var b []byte
	for _, part := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

func cutField(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	b = b[4:]
	if uint64(len(b)) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
