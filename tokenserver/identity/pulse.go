package identity

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// silence is how long OnlinePreferred goes by the keys alone after the API server gave no answer: otherwise each
// request would wait for one.
const silence = 2 * time.Second

// pulse knows whether the API server answers at all. During its silence OnlinePreferred lets in accounts that were
// deleted, so that nobody may be able to bring it about but the API server itself: neither clients that hang up, nor a
// queue in this server, nor one review of many that is late.
type pulse struct {
	mu          sync.Mutex
	answers     uint64
	silentUntil time.Time
	quietUntil  time.Time
}

// count tells how many answers there were; missed takes it.
func (p *pulse) count() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers
}

// answered ends a silence.
func (p *pulse) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers++
	p.silentUntil = time.Time{}
}

// missed says whether the API server is silent, now that a review got no answer, and whether that is news. It is not
// silent if it answered anybody since the count.
func (p *pulse) missed(counted uint64, now time.Time) (silent, news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answers != counted {
		return false, false
	}
	news = !now.Before(p.silentUntil)
	if news {
		p.silentUntil = now.Add(silence)
	}
	return true, news
}

// refused counts an answer that decides nothing, and says whether to log it: an API server that is too busy refuses many.
func (p *pulse) refused(now time.Time) (news bool) {
	p.answered()
	p.mu.Lock()
	defer p.mu.Unlock()
	news = !now.Before(p.quietUntil)
	if news {
		p.quietUntil = now.Add(silence)
	}
	return news
}

func (p *pulse) silent(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.silentUntil)
}

// isSilence says whether the error means that no API server is there, or that it cannot work: nothing came in time, the
// connection broke, or 5xx, as without etcd or from a load balancer with nothing behind it.
//
// Every other answer comes from an API server that is there, and is none to pass on. Above all 429: whoever may send
// requests to the API server can make it too busy, which must not open the door to deleted accounts. So it is with 401
// and 403: a missing right to review would otherwise go unnoticed and make OnlinePreferred Offline for good. What is
// not known to be silence is not taken for it.
func isSilence(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Code >= 500
	}
	var transport *url.Error
	var network net.Error
	return errors.As(err, &transport) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
