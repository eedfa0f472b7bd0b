package mcpserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/latchkey-mcp/latchkey/tools"
)

const cursorLife = 24 * time.Hour

var errForeignCursor = errors.New("this cursor is not of this call")

// A cursor is where a list goes on, sealed for this person, client, tool and other
// arguments.
type cursor struct {
	State   json.RawMessage `json:"s"`           // the tool's
	Account string          `json:"a,omitempty"` // the provider's id of the one that the list is of
	Expires int64           `json:"e"`           // Unix seconds
}

// sealCursor is a cursor for b's call, with plain as its state.
func (b *bound) sealCursor(plain []byte) (string, error) {
	expires := b.Now().Add(cursorLife).Unix()
	text, err := json.Marshal(cursor{State: plain, Account: b.account(), Expires: expires})
	if err != nil {
		return "", err
	}
	sealed, err := b.cursors.Encrypt(text, cursorOwner(b.call))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// openCursor is the state that sealCursor sealed for such a call. The call then acts
// on the account that the list is of, or on none: a choice of another one in between
// makes the cursor foreign.
func (b *bound) openCursor(raw string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil {
		return nil, errForeignCursor
	}
	text, err := b.cursors.Decrypt(sealed, cursorOwner(b.call))
	var c cursor
	if err != nil || json.Unmarshal(text, &c) != nil || b.Now().Unix() >= c.Expires {
		return nil, errForeignCursor
	}
	if _, err := b.connection(); err != nil {
		return nil, err
	}
	if c.Account != "" && c.Account != b.account() {
		return nil, errForeignCursor
	}
	return c.State, nil
}

// cursorOwner is the associated data of a cursor.
func cursorOwner(c *call) []byte {
	query := sha256.Sum256(tools.Canonical(c.arguments, "cursor"))
	return c.owns("cursor v1", string(query[:]))
}

// owns is associated data, or a key, for something of this person, client and tool:
// each part with its length.
func (c *call) owns(what, which string) []byte {
	digest := c.caller.Principal().Digest()
	var out []byte
	for _, part := range []string{what, string(digest[:]), c.caller.ClientID(), c.name(), which} {
		out = binary.BigEndian.AppendUint64(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}
