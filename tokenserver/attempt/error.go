package attempt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	// ErrUnavailable is when the API server could not be asked: a later try may succeed. An object may have been stored all
	// the same.
	ErrUnavailable = errors.New("the API server cannot store or read objects at present")
	// ErrRefused is when the API server does not store such an object, or a store knows better than to ask it.
	ErrRefused = errors.New("the object was refused")
)

// RetryLater is what a client is told when something is missing that the API server, a controller or a person brings, and
// nobody says when.
const RetryLater = 5 * time.Second

// RetryAfter is when an error of the kind ErrUnavailable is worth another try.
func RetryAfter(err error) time.Duration {
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		return max(time.Duration(seconds)*time.Second, time.Second)
	}
	return RetryLater
}

// Failed says what came of a call. The API server's own words quote what was sent, and are not repeated: only its reason
// and the names of the fields are. An error that wraps ErrRefused stays.
func Failed(what string, err error) error {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, ErrRefused):
		return fmt.Errorf("%s: %w", what, err)
	case !errors.As(err, &status), transient(err):
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: %w: not found", what, ErrRefused)
	}
	return fmt.Errorf("%s: %w: %s", what, ErrRefused, reason(status.Status()))
}

// transient says whether the same call may succeed later.
func transient(err error) bool {
	return apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsUnexpectedServerError(err) ||
		apierrors.IsConflict(err) || apierrors.IsUnauthorized(err)
}

func reason(s metav1.Status) string {
	if s.Details == nil || len(s.Details.Causes) == 0 {
		return string(s.Reason)
	}
	var fields []string
	for _, cause := range s.Details.Causes {
		fields = append(fields, cause.Field)
	}
	slices.Sort(fields)
	return string(s.Reason) + ": " + strings.Join(slices.Compact(fields), ", ")
}
