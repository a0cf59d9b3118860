package permission

import (
	"context"
	"errors"

	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// ErrNotTaken says that no request is stored for a requester, and that a later try would find the same: there are too many of
// them already, or the resource takes none.
var ErrNotTaken = errors.New("the request is not taken")

// Requests stores what is asked of owners.
type Requests interface {
	// Submit stores that the requester wants the scopes of the resource, which its owner or an administrator may allow. What is
	// stored already is success. An error that does not wrap ErrNotTaken says that nothing could be stored at present.
	Submit(ctx context.Context, requester string, r *resource.Resource, scopes []string) error
}
