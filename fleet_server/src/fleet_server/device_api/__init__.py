"""The devices' https listener: trust, enrolment, renewal. CBOR in, CBOR out; refusals are problem+json (RFC 9457)."""
