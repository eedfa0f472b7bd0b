package store

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"
)

const (
	// kmsPatience is how long who seals or opens waits for the KMS, once for each
	// change of the key file.
	kmsPatience = 2 * time.Second
	// kmsAgain is the time from a try that failed to the next.
	kmsAgain = 30 * time.Second
)

// errBehind is for what may open or seal once the KMS is back.
var errBehind = errors.New("the key file has changed, and its KMS hasn't opened it yet: try again in a minute, and see the log")

// A kmsTry is a try to have the KMS open a changed key file.
type kmsTry struct {
	file  fs.FileInfo     // as it was when the try began
	wait  <-chan struct{} // closed when the try is over, or takes longer than kmsPatience
	over  bool
	again time.Time // where it failed: none for the same file before
}

// followKMS is follow where a KMS encrypts the file. The KMS is asked in the
// background and at most once for a change; who comes meanwhile waits for it, but not
// for long. While it fails, the process goes on with the keys that it has, says so
// once, and tries again every kmsAgain.
func (k *liveKeys) followKMS() *keyState {
	for range readTries { // the next step of a rotation may have overtaken a try
		state := k.now.Load()
		if !state.outdated(k.file.Path) {
			return state
		}
		wait := k.trying()
		if wait == nil {
			return state
		}
		<-wait
	}
	return k.now.Load()
}

// trying is what to wait for: the try for the file as it is now, which it begins where
// none was. nil where there is nothing to wait for.
func (k *liveKeys) trying() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Lstat(k.file.Path)
	if err != nil || k.proven == nil || unchanged(info, k.now.Load().file) {
		return nil
	}
	last := k.try
	if last != nil && !last.over {
		return last.waiting()
	}
	known := last != nil && unchanged(info, last.file)
	if known && k.clock().Before(last.again) {
		return nil
	}
	ctx, done := context.WithTimeout(context.Background(), kmsPatience)
	k.try = &kmsTry{file: info, wait: ctx.Done(), again: k.clock().Add(kmsAgain)}
	go k.fetch(k.try, done)
	if known {
		done() // it failed before: nobody waits
		return nil
	}
	return k.try.wait
}

// waiting is t.wait, or nil once nobody is to wait any more.
func (t *kmsTry) waiting() <-chan struct{} {
	select {
	case <-t.wait:
		return nil
	default:
		return t.wait
	}
}

// fetch is the try itself.
func (k *liveKeys) fetch(t *kmsTry, done func()) {
	defer done()
	next, err := k.file.read(context.Background())
	k.mu.Lock()
	proven := k.proven
	k.mu.Unlock()
	if err == nil && proven != nil && !proven(next.aead) {
		err = errors.New("it is not the one that this vault is sealed with")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.proven != nil {
		k.finish(t, next, err)
	}
}

// finish takes next, or notes that the try failed. k.mu is held.
func (k *liveKeys) finish(t *kmsTry, next *keyState, err error) {
	t.over = true
	if err == nil {
		k.now.Store(next)
		k.troubled = false
		k.log.Info("following the changed key file", "file", k.file.Path)
		return
	}
	if !k.troubled {
		k.troubled = true
		k.log.Error("the key file has changed and can't be opened: going on with the former keys, and trying again",
			"file", k.file.Path, "err", err)
	}
}

// behind reports whether the file has changed and the KMS hasn't opened it yet.
func (k *liveKeys) behind(state *keyState) bool {
	return k.file.KMS != "" && state.outdated(k.file.Path)
}

// retiredMeanwhile reports whether the changed file, which the KMS hasn't opened yet,
// has retired the key that would seal: what it sealed wouldn't open afterwards.
func (k *liveKeys) retiredMeanwhile(state *keyState) bool {
	if !k.behind(state) {
		return false
	}
	raw, _, err := readKeyFile(k.file.Path)
	return err == nil && retiredIn(raw, state.primary)
}

// retiredIn reads what an encrypted keyset says in clear. It is not authenticated, and
// can do no more than stop sealing.
func retiredIn(raw []byte, id uint32) bool {
	var file struct {
		KeysetInfo struct {
			KeyInfo []struct {
				KeyID  uint32 `json:"keyId"`
				Status string `json:"status"`
			} `json:"keyInfo"`
		} `json:"keysetInfo"`
	}
	if json.Unmarshal(raw, &file) != nil {
		return false
	}
	for _, key := range file.KeysetInfo.KeyInfo {
		if key.KeyID == id {
			return key.Status != "ENABLED"
		}
	}
	return false
}
