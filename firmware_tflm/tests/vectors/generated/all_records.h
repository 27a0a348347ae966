/*
 * Generated from contract/dunlin.cddl by tools/generate-decoders: do not edit.
 *
 * Generated using zcbor version 0.9.1
 * https://github.com/NordicSemiconductor/zcbor
 * Generated with a --default-max-qty of 3
 */

#ifndef ALL_RECORDS_H__
#define ALL_RECORDS_H__

#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "all_records_types.h"

#ifdef __cplusplus
extern "C" {
#endif

#if DEFAULT_MAX_QTY != 3
#error "The type file was generated with a different default_max_qty than this file"
#endif


int cbor_decode_dnb_root(
		const uint8_t *payload, size_t payload_len,
		struct dnb_root *result,
		size_t *payload_len_out);


int cbor_decode_dnb_manifest(
		const uint8_t *payload, size_t payload_len,
		struct dnb_manifest *result,
		size_t *payload_len_out);


int cbor_decode_dnb_directive(
		const uint8_t *payload, size_t payload_len,
		struct dnb_directive *result,
		size_t *payload_len_out);


int cbor_decode_dnb_desired(
		const uint8_t *payload, size_t payload_len,
		struct dnb_desired *result,
		size_t *payload_len_out);


int cbor_decode_dnb_fit(
		const uint8_t *payload, size_t payload_len,
		struct dnb_fit *result,
		size_t *payload_len_out);


int cbor_decode_dnb_payload(
		const uint8_t *payload, size_t payload_len,
		struct dnb_payload *result,
		size_t *payload_len_out);


int cbor_decode_dnb_golden(
		const uint8_t *payload, size_t payload_len,
		struct dnb_golden *result,
		size_t *payload_len_out);


int cbor_decode_dnb_settings(
		const uint8_t *payload, size_t payload_len,
		struct dnb_settings *result,
		size_t *payload_len_out);


int cbor_decode_dnb_ack(
		const uint8_t *payload, size_t payload_len,
		struct dnb_ack *result,
		size_t *payload_len_out);


int cbor_decode_dnb_wipe_order(
		const uint8_t *payload, size_t payload_len,
		struct dnb_wipe_order *result,
		size_t *payload_len_out);


int cbor_decode_dnb_enrol_reply(
		const uint8_t *payload, size_t payload_len,
		struct dnb_enrol_reply *result,
		size_t *payload_len_out);


int cbor_decode_dnb_claim_token(
		const uint8_t *payload, size_t payload_len,
		struct dnb_claim_token *result,
		size_t *payload_len_out);


int cbor_decode_dnb_reported(
		const uint8_t *payload, size_t payload_len,
		struct dnb_reported *result,
		size_t *payload_len_out);


int cbor_decode_dnb_event(
		const uint8_t *payload, size_t payload_len,
		struct dnb_event *result,
		size_t *payload_len_out);


int cbor_decode_dnb_telemetry(
		const uint8_t *payload, size_t payload_len,
		struct dnb_telemetry *result,
		size_t *payload_len_out);


int cbor_decode_dnb_trust(
		const uint8_t *payload, size_t payload_len,
		struct dnb_trust *result,
		size_t *payload_len_out);


int cbor_decode_dnb_server_keys(
		const uint8_t *payload, size_t payload_len,
		struct dnb_server_keys *result,
		size_t *payload_len_out);


int cbor_decode_dnb_enrol_request(
		const uint8_t *payload, size_t payload_len,
		struct dnb_enrol_request *result,
		size_t *payload_len_out);


int cbor_decode_dnb_renew_request(
		const uint8_t *payload, size_t payload_len,
		struct dnb_renew_request *result,
		size_t *payload_len_out);


int cbor_decode_dnb_receipt(
		const uint8_t *payload, size_t payload_len,
		struct dnb_receipt *result,
		size_t *payload_len_out);


int cbor_decode_dnb_device_description(
		const uint8_t *payload, size_t payload_len,
		struct dnb_device_description *result,
		size_t *payload_len_out);


int cbor_decode_dnb_result(
		const uint8_t *payload, size_t payload_len,
		struct dnb_result *result,
		size_t *payload_len_out);


int cbor_decode_dnb_capture_order(
		const uint8_t *payload, size_t payload_len,
		struct dnb_capture_order *result,
		size_t *payload_len_out);


int cbor_decode_dnb_baseline(
		const uint8_t *payload, size_t payload_len,
		struct dnb_baseline *result,
		size_t *payload_len_out);


#ifdef __cplusplus
}
#endif

#endif /* ALL_RECORDS_H__ */
