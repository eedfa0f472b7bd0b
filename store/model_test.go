package store

import (
	"fmt"
	"testing"
	"time"
)

// This file checks the protocol of lease and version exhaustively: three processes
// with the steps of Keyring.renew, each of which may be interleaved with any other
// and be the last before a crash, against a provider that ends the family at the
// second use of a refresh token. The lease itself is the real one, on a clock that
// is part of the state.

// A step is where a process stands.
type step uint8

const (
	readGrant  step = iota // not under way
	readLease              // has the grant
	takeLease              // has seen the lease as free, or none
	readAgain              // holds the lease
	askIt                  // holds it, and the grant is still that version
	keepIt                 // has the answer, in memory only
	dropIt                 // has written it
	checkFence             // was refused
	breakIt                // was refused, and holds the lease still
	doneStep               // released a token
	deadStep               // crashed
)

// A runner is one process. Its fields are what it has in memory.
type runner struct {
	at      step
	version int8
	token   int8 // refresh token that it read, or was given
	seen    int8 // fence that it read; 0: there was no lease
	fence   int8 // fence that it wrote
	until   int8 // end of the lease that it read
	answer  int8 // refresh token of the answer
}

// A model is everything: the database, the provider, the clock, the processes.
type model struct {
	version, token int8 // the grant: its row
	broken         bool
	told           bool                  // the reason why it is broken names a lost answer
	leases         [lastGrant + 1]record // by the version that they are on

	family   int8    // 1 once the owner has connected again
	families [2]gift // what the provider knows of each

	now     int8
	crashes int8
	procs   [3]runner
}

// A record is a lease in the database.
type record struct {
	fence, until int8 // fence 0: there is none
	unsure       bool
}

// A gift is one family of refresh tokens: they count up from 1, or from 11.
type gift struct {
	current int8 // the unspent one
	ended   bool
	lost    bool // a process crashed with an answer that was nowhere else
}

func (m *model) familyOf(token int8) *gift { return &m.families[token/10] }

// A protocol is the real one, or one with a guard taken out.
type protocol struct {
	noLease, noSecondRead, noSwap, earlyTakeover bool
}

const (
	leaseTicks = 2 // the life of a lease, in ticks of the model's clock
	lastTick   = 3
	lastGrant  = 3 // versions beyond it aren't explored
)

// real is the lease as the type that decides.
func (r record) real() lease {
	if r.fence == 0 {
		return lease{}
	}
	return lease{Until: moment(r.until), Unsure: r.unsure}
}

func moment(tick int8) time.Time { return time.Unix(int64(tick)+1, 0) }

// next is the world that follows m by one step of process i.
func (p protocol) next(m model, i int) (model, bool) {
	r := &m.procs[i]
	l := &m.leases[r.version]
	switch r.at {
	case readGrant:
		if m.broken || m.version >= lastGrant {
			return m, false
		}
		r.version, r.token, r.at = m.version, m.token, readLease
		if p.noLease {
			r.at = askIt
		}
	case readLease:
		r.seen, r.at = l.fence, takeLease
		if l.real().free("", moment(m.now)) != nil && !p.earlyTakeover {
			r.at = readGrant // wait, and look again
		}
	case takeLease:
		r.at = readGrant // somebody was faster
		if l.fence == r.seen {
			*l = record{l.fence + 1, m.now + leaseTicks, l.real().taken(moment(m.now)).Unsure}
			r.fence, r.until, r.at = l.fence, l.until, readAgain
		}
	case readAgain:
		r.at = askIt
		if m.version != r.version && !p.noSecondRead {
			*l, r.at = record{}, readGrant
		}
	case askIt:
		f := m.familyOf(r.token)
		if f.ended || f.current != r.token {
			f.ended = true // the second use of a token, or a use after that
			r.at = checkFence
			break
		}
		f.current++
		r.answer, r.at = f.current, keepIt
	case keepIt:
		p.keep(&m, r)
	case dropIt:
		*l, r.at = record{}, doneStep
	case checkFence:
		r.at = breakIt
		if l.fence != r.fence && !p.noLease {
			r.at = readGrant
		}
	case breakIt:
		r.at = readGrant
		if m.version == r.version {
			m.version, m.broken, m.told = m.version+1, true, l.unsure
			*l = record{}
		}
	default:
		return m, false
	}
	return m, true
}

// keep is Keyring.keep.
func (p protocol) keep(m *model, r *runner) {
	late := m.version != r.version
	if late && m.broken && m.token == r.token { // refusedAfter
		late, m.broken, m.told = false, false, false
	}
	r.at = readGrant
	if !late || p.noSwap {
		m.version, m.token, r.at = m.version+1, r.answer, dropIt
	}
}

// reconnect is the owner, who connects again at any time, once.
func (m model) reconnect() (model, bool) {
	if m.family == 1 || m.version >= lastGrant {
		return m, false
	}
	m.family, m.families[1].current = 1, 11
	m.version, m.token, m.broken, m.told = m.version+1, 11, false, false
	return m, true
}

// crash is m without process i.
func (m model) crash(i int) (model, bool) {
	r := m.procs[i]
	if r.at == deadStep || r.at == doneStep || m.crashes == 3 {
		return m, false
	}
	if r.at == keepIt {
		m.familyOf(r.token).lost = true
	}
	m.procs[i] = runner{at: deadStep}
	m.crashes++
	return m, true
}

// tick moves the clock. A lease outlasts what is done under it: time doesn't reach
// its end while its holder lives, unless stalls says that a machine may stand still.
func (m model) tick(stalls bool) (model, bool) {
	if m.now >= lastTick || m.version >= lastGrant {
		return m, false
	}
	for _, r := range m.procs {
		holds := r.at >= readAgain && r.at <= breakIt
		if holds && !stalls && m.now+1 >= r.until {
			return m, false
		}
	}
	m.now++
	return m, true
}

// wrong is what must never be.
func (m model) wrong(stalls bool) string {
	for _, f := range m.families {
		if f.ended && !f.lost && !stalls {
			return "a refresh token was used twice, and no answer was lost"
		}
	}
	now := m.familyOf(m.token)
	held := now.lost // a token that was lost, or is in memory still, explains a spent one
	for _, r := range m.procs {
		held = held || r.at == keepIt && r.token == m.token
	}
	switch {
	case m.token/10 != m.family:
		return "an answer to an old token overwrote a new connection"
	case m.broken && !now.ended:
		return "a living grant was broken"
	case m.broken && !m.told && !stalls:
		return "a grant is broken by a lost answer, and the reason doesn't say so"
	case !m.broken && !now.ended && m.token != now.current && !held:
		return "the grant holds a spent token, and nobody lost the new one"
	}
	return ""
}

// stuck is what must not be where nothing can happen any more.
func (m model) stuck() string {
	for _, r := range m.procs {
		if r.at == deadStep {
			continue
		}
		if r.at != doneStep && !m.broken && m.version < lastGrant {
			return "a caller waits for ever"
		}
	}
	return ""
}

// explore visits every state and returns how many there are, and the first fault.
func (p protocol) explore(stalls bool) (states int, fault string) {
	start := model{version: 1, token: 1}
	start.families[0].current = 1
	seen := map[model]bool{start: true}
	for todo := []model{start}; len(todo) > 0; {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if fault := m.wrong(stalls); fault != "" {
			return len(seen), fmt.Sprintf("%s: %+v", fault, m)
		}
		var following []model
		for i := range m.procs {
			if stepped, can := p.next(m, i); can {
				following = append(following, stepped)
			}
			if crashed, can := m.crash(i); can {
				following = append(following, crashed)
			}
		}
		if again, can := m.reconnect(); can {
			following = append(following, again)
		}
		if later, can := m.tick(stalls); can {
			following = append(following, later)
		}
		if len(following) == 0 {
			if fault := m.stuck(); fault != "" {
				return len(seen), fmt.Sprintf("%s: %+v", fault, m)
			}
		}
		for _, f := range following {
			if !seen[f] {
				seen[f] = true
				todo = append(todo, f)
			}
		}
	}
	return len(seen), ""
}

// No interleaving and no crash burns a token silently or serves a stale one; and
// without any one of the guards, some do.
func TestProofModel(t *testing.T) {
	states, fault := protocol{}.explore(false)
	if fault != "" {
		t.Fatal(fault)
	}
	t.Logf("%d states", states)
	if states < 10_000 {
		t.Fatalf("only %d states: the model does nothing", states)
	}
	for name, without := range map[string]protocol{
		"the lease":           {noLease: true},
		"the second read":     {noSecondRead: true},
		"waiting for its end": {earlyTakeover: true},
	} {
		if _, fault := without.explore(false); fault == "" {
			t.Errorf("without %s nothing goes wrong: the model can't see it", name)
		}
	}
}

// Where a machine stands still for longer than a lease, a token may be burnt; that
// still breaks the grant for people to see, and never a living one.
func TestProofModelWithStalls(t *testing.T) {
	if _, fault := (protocol{}).explore(true); fault != "" {
		t.Fatal(fault)
	}
	for name, without := range map[string]protocol{
		"compare-and-swap": {noSwap: true},
	} {
		if _, fault := without.explore(true); fault == "" {
			t.Errorf("without %s nothing goes wrong: the model can't see it", name)
		}
	}
}
