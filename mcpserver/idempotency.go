package mcpserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	keyLife = 24 * time.Hour
	keyTime = 2 * callTime // of a call that was begun: after it, nobody works on it any more
)

// A keyed is what is kept of a call with an idempotency key, from before its handler
// runs: after a crash it says that something may have been done.
type keyed struct {
	Arguments []byte          `json:"d"`           // their digest
	Account   string          `json:"a"`           // the provider's id of the one acted on
	Until     int64           `json:"u"`           // Unix seconds: by then the handler has ended
	Result    json.RawMessage `json:"r,omitempty"` // of a call that ended well
	Unknown   bool            `json:"x,omitempty"` // it ended, and something may have been done
}

// key is the call's idempotency key, where the server is the one to keep it. What
// isn't a text is for the tool's schema to refuse.
func (c *call) key() (string, bool) {
	if !c.tool.Keyed() || c.spec.KeyedByProvider {
		return "", false
	}
	var all map[string]json.RawMessage
	var key string
	if json.Unmarshal(c.arguments, &all) != nil || json.Unmarshal(all[tools.KeyArgument], &key) != nil || key == "" {
		return "", false
	}
	return string(c.owns("idempotency key v1", key)), true
}

// once runs the handler, unless a call with the same key did, does, or may have done
// so within 24 hours: then it is the same result, or an error that says so.
func (s *server) once(ctx context.Context, b *bound, c *call) (json.RawMessage, error) {
	key, ok := c.key()
	if !ok {
		return invoke(ctx, b, c)
	}
	item, begun, err := s.begin(b, key)
	if err != nil {
		return nil, err
	}
	if !begun {
		return s.before(item.Value)
	}
	out, err := invoke(ctx, b, c)
	if err == nil {
		out = json.RawMessage(b.redact(string(out)))
	}
	s.settle(b, key, item, out, err)
	return out, err
}

// begin keeps that the call is begun, or is what is kept of an earlier one with the
// key. Whichever of two is first to keep it runs.
func (s *server) begin(b *bound, key string) (item store.Item[keyed], begun bool, err error) {
	if _, err := b.connection(); err != nil {
		return item, false, err
	}
	ctx := context.WithoutCancel(b.ctx) // one that gives up doesn't know what was kept
	owner := b.caller.Principal().Digest()
	fresh := b.begun(b.account(), s.Now())
	for range 3 { // the earlier one may be taken away in between
		err = s.keyed.Put(ctx, key, owner, keyLife, fresh)
		if !errors.Is(err, store.ErrConflict) {
			return store.Item[keyed]{Value: fresh, Owner: owner, Version: 1}, err == nil, err
		}
		item, err = s.keyed.Get(ctx, key)
		if err == nil {
			err = item.Value.is(fresh)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return item, false, err
		}
	}
	return item, false, err
}

// begun is what is kept of c when it begins at now.
func (c *call) begun(account string, now time.Time) keyed {
	digest := sha256.Sum256(tools.Canonical(c.arguments))
	return keyed{Arguments: digest[:], Account: account, Until: now.Add(keyTime).Unix()}
}

// is says that k is of another call than the one with its key that begins now.
func (k keyed) is(fresh keyed) error {
	if bytes.Equal(k.Arguments, fresh.Arguments) && k.Account == fresh.Account {
		return nil
	}
	return &tools.Error{Message: "This idempotency_key was used within 24 hours with other arguments or another account. " +
		"For something new, use a new key; to repeat a call, repeat its arguments exactly."}
}

// repeated is once's answer where the call's key was used before; store.ErrNotFound
// where the handler would run.
func (s *server) repeated(ctx context.Context, c *call, account string) (json.RawMessage, error) {
	key, ok := c.key()
	if !ok {
		return nil, store.ErrNotFound
	}
	item, err := s.keyed.Get(ctx, key)
	if err == nil {
		err = item.Value.is(c.begun(account, s.Now()))
	}
	if err != nil {
		return nil, err
	}
	return s.before(item.Value)
}

// before is the answer to a call whose key was used before.
func (s *server) before(k keyed) (json.RawMessage, error) {
	switch {
	case k.Result != nil:
		return k.Result, nil
	case k.Unknown || s.Now().Unix() >= k.Until:
		return nil, &tools.Error{Message: "The outcome of an earlier call with this idempotency_key is unknown: " +
			"it may have been done, fully or in part. Check that before you try again with a new key."}
	}
	return nil, &tools.Error{Message: "A call with this idempotency_key is under way. " +
		"Wait a moment, then repeat it with the same key and arguments to get its result."}
}

// settle keeps what came of the call, or nothing where it changed nothing. Where that
// can't be kept, the call stays begun, so that it isn't done twice.
func (s *server) settle(b *bound, key string, item store.Item[keyed], out json.RawMessage, failed error) {
	ctx := context.WithoutCancel(b.ctx)
	_, wrote := b.outcome()
	var err error
	switch {
	case failed != nil && !wrote:
		_, err = s.keyed.Take(ctx, key)
	default:
		item.Value.Result, item.Value.Unknown = out, failed != nil
		item.Expires = s.Now().Add(keyLife)
		err = s.keyed.Replace(ctx, key, item)
	}
	if err != nil { // not found: its owner had everything forgotten meanwhile
		s.report("the outcome of an idempotency key is not kept", err, "tool", b.name())
	}
}
