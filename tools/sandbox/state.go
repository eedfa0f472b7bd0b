package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stateFormat is raised when an older file can't be read any more.
const stateFormat = 1

// state is all that survives a restart.
type state struct {
	Format    int
	SeededOn  string // the day, 2006-01-02, that the made-up events are relative to
	NextID    int64
	Codes     map[string]*code  // by hash
	Tokens    map[string]*token // by hash
	Repos     []*repo
	Threads   []*thread
	Calendars []*calendar
	Key       []byte `json:",omitempty"` // Google's signing key, PKCS #8
}

// nextID is a number that nothing else has.
func (s *Sandbox) nextID() int64 {
	s.state.NextID++
	s.dirty = true
	return s.state.NextID
}

// load reads the file, or makes the world anew where there is none.
func (s *Sandbox) load() error {
	if s.cfg.File == "" {
		s.seed()
		return nil
	}
	b, err := os.ReadFile(s.cfg.File)
	if errors.Is(err, fs.ErrNotExist) {
		s.seed()
		return s.save()
	}
	if err != nil {
		return fmt.Errorf("sandbox: reading the state file: %w", err)
	}
	if err := json.Unmarshal(b, &s.state); err != nil || s.state.Format != stateFormat {
		return fmt.Errorf("sandbox: %s is not a state file of this version: delete it to start over", s.cfg.File)
	}
	s.moveSeed()
	return s.save()
}

// save writes the file when something changed, whole or not at all.
func (s *Sandbox) save() error {
	if !s.dirty {
		return nil
	}
	s.sweep()
	if s.cfg.File != "" {
		b, err := json.Marshal(s.state)
		if err != nil {
			return err
		}
		if err := writeFile(s.cfg.File, b); err != nil {
			return err
		}
	}
	s.dirty = false
	return nil
}

// sweep forgets what has been refused for a day: codes and tokens.
func (s *Sandbox) sweep() {
	old := s.cfg.Now().Add(-24 * time.Hour)
	for hash, c := range s.state.Codes {
		if c.Expires.Before(old) {
			delete(s.state.Codes, hash)
		}
	}
	s.drop(func(t *token) bool { return !t.Expires.IsZero() && t.Expires.Before(old) })
}

// writeFile replaces name atomically, readable by its owner only.
func writeFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp") // CreateTemp's mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
