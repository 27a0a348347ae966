/*
 * Generated from contract/dunlin.cddl by tools/generate-decoders: do not edit.
 *
 * Generated using zcbor version 0.9.1
 * https://github.com/NordicSemiconductor/zcbor
 * Generated with a --default-max-qty of 3
 */

#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "zcbor_decode.h"
#include "all_records.h"
#include "zcbor_print.h"

#if DEFAULT_MAX_QTY != 3
#error "The type file was generated with a different default_max_qty than this file"
#endif

#define log_result(state, result, func) do { \
	if (!result) { \
		zcbor_trace_file(state); \
		zcbor_log("%s error: %s\r\n", func, zcbor_error_str(zcbor_peek_error(state))); \
	} else { \
		zcbor_log("%s success\r\n", func); \
	} \
} while(0)

static bool decode_repeated_dnb_settings_report_interval_s(zcbor_state_t *state, struct dnb_settings_report_interval_s *result);
static bool decode_repeated_dnb_settings_report_jitter_s(zcbor_state_t *state, struct dnb_settings_report_jitter_s *result);
static bool decode_repeated_dnb_settings_window(zcbor_state_t *state, struct dnb_settings_window *result);
static bool decode_repeated_dnb_settings_object_timeout_s(zcbor_state_t *state, struct dnb_settings_object_timeout_s *result);
static bool decode_repeated_dnb_settings_probation_s(zcbor_state_t *state, struct dnb_settings_probation_s *result);
static bool decode_repeated_dnb_settings_probation_requests(zcbor_state_t *state, struct dnb_settings_probation_requests *result);
static bool decode_repeated_dnb_settings_probation_max_s(zcbor_state_t *state, struct dnb_settings_probation_max_s *result);
static bool decode_repeated_dnb_settings_telemetry_interval_s(zcbor_state_t *state, struct dnb_settings_telemetry_interval_s *result);
static bool decode_dnb_lease(zcbor_state_t *state, struct dnb_lease *result);
static bool decode_repeated_dnb_desired_index_index(zcbor_state_t *state, struct zcbor_string *result);
static bool decode_repeated_dnb_payload_delta_base(zcbor_state_t *state, struct dnb_payload_delta_base *result);
static bool decode_repeated_dnb_enrol_reply_chain_chain(zcbor_state_t *state, struct zcbor_string *result);
static bool decode_repeated_dnb_enrol_reply_chain(zcbor_state_t *state, struct dnb_enrol_reply_chain_r *result);
static bool decode_repeated_dnb_enrol_reply_broker_host(zcbor_state_t *state, struct dnb_enrol_reply_broker_host *result);
static bool decode_repeated_dnb_enrol_reply_broker_port(zcbor_state_t *state, struct dnb_enrol_reply_broker_port *result);
static bool decode_repeated_dnb_enrol_reply_poll_s(zcbor_state_t *state, struct dnb_enrol_reply_poll_s *result);
static bool decode_repeated_dnb_enrol_reply_root(zcbor_state_t *state, struct dnb_enrol_reply_root *result);
static bool decode_repeated_dnb_enrol_reply_reason(zcbor_state_t *state, struct dnb_enrol_reply_reason *result);
static bool decode_dn_event_kind(zcbor_state_t *state, struct dn_event_kind_r *result);
static bool decode_repeated_dnb_event_model(zcbor_state_t *state, struct dnb_event_model *result);
static bool decode_repeated_dnb_event_release(zcbor_state_t *state, struct dnb_event_release *result);
static bool decode_repeated_dnb_event_code(zcbor_state_t *state, struct dnb_event_code *result);
static bool decode_repeated_dnb_event_text(zcbor_state_t *state, struct dnb_event_text *result);
static bool decode_repeated_dnb_event_receipt(zcbor_state_t *state, struct dnb_event_receipt *result);
static bool decode_repeated_keys_root_keys(zcbor_state_t *state, struct keys_root_keys *result);
static bool decode_dn_role_name(zcbor_state_t *state, struct dn_role_name_r *result);
static bool decode_repeated_dnb_role_keys_kids_kids(zcbor_state_t *state, struct zcbor_string *result);
static bool decode_dnb_role_keys(zcbor_state_t *state, struct dnb_role_keys *result);
static bool decode_repeated_roles_root_roles(zcbor_state_t *state, struct roles_root_roles *result);
static bool decode_dn_runtime_name(zcbor_state_t *state, struct dn_runtime_name_r *result);
static bool decode_repeated_dn_version3_dn_u32_m(zcbor_state_t *state, uint32_t *result);
static bool decode_dn_version3(zcbor_state_t *state, struct dn_version3 *result);
static bool decode_dnb_op(zcbor_state_t *state, struct dnb_op *result);
static bool decode_repeated_dnb_fit_arena_bytes(zcbor_state_t *state, struct dnb_fit_arena_bytes *result);
static bool decode_repeated_dnb_fit_flash_bytes(zcbor_state_t *state, struct dnb_fit_flash_bytes *result);
static bool decode_repeated_dnb_fit_memory_bytes(zcbor_state_t *state, struct dnb_fit_memory_bytes *result);
static bool decode_repeated_dnb_fit_hardware_classes_hardware_classes(zcbor_state_t *state, struct zcbor_string *result);
static bool decode_repeated_dnb_fit_hardware_classes(zcbor_state_t *state, struct dnb_fit_hardware_classes_r *result);
static bool decode_dn_model_store(zcbor_state_t *state, struct dn_model_store_r *result);
static bool decode_repeated_dnb_fit_stores(zcbor_state_t *state, struct dnb_fit_stores_r *result);
static bool decode_repeated_dnb_wipe_order_models(zcbor_state_t *state, struct dnb_wipe_order_models_r *result);
static bool decode_repeated_dnb_wipe_order_reason(zcbor_state_t *state, struct dnb_wipe_order_reason *result);
static bool decode_repeated_dnb_erased_releases_releases(zcbor_state_t *state, struct zcbor_string *result);
static bool decode_repeated_dnb_erased_storage_key(zcbor_state_t *state, struct dnb_erased_storage_key *result);
static bool decode_dnb_erased(zcbor_state_t *state, struct dnb_erased *result);
static bool decode_repeated_dnb_result_model(zcbor_state_t *state, struct dnb_result_model *result);
static bool decode_repeated_dnb_result_release(zcbor_state_t *state, struct dnb_result_release *result);
static bool decode_repeated_dnb_result_source(zcbor_state_t *state, struct dnb_result_source *result);
static bool decode_repeated_dnb_result_reason(zcbor_state_t *state, struct dnb_result_reason *result);
static bool decode_dn_dtype(zcbor_state_t *state, struct dn_dtype_r *result);
static bool decode_repeated_dnb_tensor_data_shape_shape(zcbor_state_t *state, uint32_t *result);
static bool decode_dnb_tensor_data(zcbor_state_t *state, struct dnb_tensor_data *result);
static bool decode_repeated_dnb_result_inputs(zcbor_state_t *state, struct dnb_result_inputs_r *result);
static bool decode_repeated_dnb_result_outputs(zcbor_state_t *state, struct dnb_result_outputs_r *result);
static bool decode_repeated_dnb_result_first(zcbor_state_t *state, struct dnb_result_first *result);
static bool decode_repeated_dnb_capture_order_random_permille(zcbor_state_t *state, struct dnb_capture_order_random_permille *result);
static bool decode_repeated_dnb_capture_order_margin_permille(zcbor_state_t *state, struct dnb_capture_order_margin_permille *result);
static bool decode_repeated_dnb_capture_order_disagreement(zcbor_state_t *state, void *result);
static bool decode_repeated_dnb_capture_order_classes_classes(zcbor_state_t *state, uint32_t *result);
static bool decode_repeated_dnb_capture_order_classes(zcbor_state_t *state, struct dnb_capture_order_classes_r *result);
static bool decode_repeated_dnb_feature_expected_expected(zcbor_state_t *state, uint32_t *result);
static bool decode_dnb_feature(zcbor_state_t *state, struct dnb_feature *result);
static bool decode_repeated_desired_directive_desired(zcbor_state_t *state, struct desired_directive_desired *result);
static bool decode_repeated_dnb_directive_settings(zcbor_state_t *state, struct dnb_directive_settings *result);
static bool decode_repeated_dnb_directive_wipe(zcbor_state_t *state, struct dnb_directive_wipe *result);
static bool decode_repeated_dnb_directive_nonce(zcbor_state_t *state, struct dnb_directive_nonce *result);
static bool decode_repeated_dnb_directive_root(zcbor_state_t *state, struct dnb_directive_root *result);
static bool decode_repeated_dnb_trial_share(zcbor_state_t *state, struct dnb_trial_share *result);
static bool decode_dnb_trial(zcbor_state_t *state, struct dnb_trial *result);
static bool decode_repeated_trials_directive_trials(zcbor_state_t *state, struct trials_directive_trials *result);
static bool decode_repeated_dnb_directive_trials(zcbor_state_t *state, struct dnb_directive_trials_r *result);
static bool decode_repeated_captures_directive_captures(zcbor_state_t *state, struct captures_directive_captures *result);
static bool decode_repeated_dnb_directive_captures(zcbor_state_t *state, struct dnb_directive_captures_r *result);
static bool decode_dnb_sample(zcbor_state_t *state, struct dnb_sample *result);
static bool decode_repeated_dnb_device_description_flash_bytes(zcbor_state_t *state, struct dnb_device_description_flash_bytes *result);
static bool decode_repeated_dnb_device_description_arena_bytes(zcbor_state_t *state, struct dnb_device_description_arena_bytes *result);
static bool decode_repeated_dnb_runtime_info_ops(zcbor_state_t *state, struct dnb_runtime_info_ops_r *result);
static bool decode_dnb_runtime_info(zcbor_state_t *state, struct dnb_runtime_info *result);
static bool decode_dnb_tier(zcbor_state_t *state, struct dnb_tier *result);
static bool decode_repeated_dnb_reported_missing_missing(zcbor_state_t *state, struct zcbor_string *result);
static bool decode_repeated_dnb_reported_missing(zcbor_state_t *state, struct dnb_reported_missing_r *result);
static bool decode_dn_phase(zcbor_state_t *state, struct dn_phase_r *result);
static bool decode_repeated_dnb_model_state_active(zcbor_state_t *state, struct dnb_model_state_active *result);
static bool decode_repeated_dnb_model_state_previous(zcbor_state_t *state, struct dnb_model_state_previous *result);
static bool decode_repeated_dnb_model_state_candidate(zcbor_state_t *state, struct dnb_model_state_candidate *result);
static bool decode_repeated_dnb_model_state_error_code(zcbor_state_t *state, struct dnb_model_state_error_code *result);
static bool decode_repeated_dnb_model_state_error_text(zcbor_state_t *state, struct dnb_model_state_error_text *result);
static bool decode_repeated_dnb_model_state_variant(zcbor_state_t *state, struct dnb_model_state_variant *result);
static bool decode_repeated_dnb_model_state_served(zcbor_state_t *state, struct dnb_model_state_served *result);
static bool decode_repeated_dnb_model_state_chunks_have(zcbor_state_t *state, struct dnb_model_state_chunks_have *result);
static bool decode_repeated_dnb_model_state_chunks_need(zcbor_state_t *state, struct dnb_model_state_chunks_need *result);
static bool decode_repeated_dnb_rejected_reasons_reasons(zcbor_state_t *state, struct zcbor_string *result);
static bool decode_dnb_rejected(zcbor_state_t *state, struct dnb_rejected *result);
static bool decode_repeated_dnb_model_state_rejected(zcbor_state_t *state, struct dnb_model_state_rejected_r *result);
static bool decode_dnb_model_state(zcbor_state_t *state, struct dnb_model_state *result);
static bool decode_repeated_models_reported_models(zcbor_state_t *state, struct models_reported_models *result);
static bool decode_repeated_dnb_reported_number(zcbor_state_t *state, struct dnb_reported_number *result);
static bool decode_repeated_dnb_reported_temperature_dc(zcbor_state_t *state, struct dnb_reported_temperature_dc *result);
static bool decode_repeated_dn_sketch_dn_bucket(zcbor_state_t *state, struct dn_sketch_dn_bucket *result);
static bool decode_dn_sketch(zcbor_state_t *state, struct dn_sketch *result);
static bool decode_dnb_comparison(zcbor_state_t *state, struct dnb_comparison *result);
static bool decode_repeated_dnb_model_telemetry_comparison(zcbor_state_t *state, struct dnb_model_telemetry_comparison *result);
static bool decode_repeated_dnb_drift_counts_counts_counts(zcbor_state_t *state, uint64_t *result);
static bool decode_repeated_dnb_drift_counts_expected_expected(zcbor_state_t *state, uint32_t *result);
static bool decode_dnb_drift_counts(zcbor_state_t *state, struct dnb_drift_counts *result);
static bool decode_repeated_dnb_model_telemetry_drift(zcbor_state_t *state, struct dnb_model_telemetry_drift_r *result);
static bool decode_repeated_dnb_model_telemetry_confidence_confidence(zcbor_state_t *state, uint64_t *result);
static bool decode_repeated_dnb_model_telemetry_confidence(zcbor_state_t *state, struct dnb_model_telemetry_confidence_r *result);
static bool decode_dnb_model_telemetry(zcbor_state_t *state, struct dnb_model_telemetry *result);
static bool decode_repeated_models_telemetry_models(zcbor_state_t *state, struct models_telemetry_models *result);
static bool decode_repeated_dnb_hardware_temperature_dc(zcbor_state_t *state, struct dnb_hardware_temperature_dc *result);
static bool decode_repeated_dnb_hardware_throttled(zcbor_state_t *state, struct dnb_hardware_throttled *result);
static bool decode_repeated_dnb_hardware_power_mw(zcbor_state_t *state, struct dnb_hardware_power_mw *result);
static bool decode_repeated_dnb_hardware_gpu_permille(zcbor_state_t *state, struct dnb_hardware_gpu_permille *result);
static bool decode_repeated_dnb_hardware_power_mode(zcbor_state_t *state, struct dnb_hardware_power_mode *result);
static bool decode_repeated_dnb_hardware_policy(zcbor_state_t *state, struct dnb_hardware_policy_r *result);
static bool decode_dnb_hardware(zcbor_state_t *state, struct dnb_hardware *result);
static bool decode_repeated_dnb_telemetry_hardware(zcbor_state_t *state, struct dnb_telemetry_hardware *result);
static bool decode_repeated_dnb_tensor_shape_shape(zcbor_state_t *state, int32_t *result);
static bool decode_dnb_quantization(zcbor_state_t *state, struct dnb_quantization *result);
static bool decode_repeated_dnb_tensor_quantization(zcbor_state_t *state, struct dnb_tensor_quantization *result);
static bool decode_dnb_tensor(zcbor_state_t *state, struct dnb_tensor *result);
static bool decode_dnb_preprocess(zcbor_state_t *state, struct dnb_preprocess *result);
static bool decode_repeated_dnb_io_preprocess(zcbor_state_t *state, struct dnb_io_preprocess *result);
static bool decode_repeated_dnb_postprocess_labels(zcbor_state_t *state, struct dnb_postprocess_labels *result);
static bool decode_dnb_postprocess(zcbor_state_t *state, struct dnb_postprocess *result);
static bool decode_repeated_dnb_io_postprocess(zcbor_state_t *state, struct dnb_io_postprocess *result);
static bool decode_dnb_io(zcbor_state_t *state, struct dnb_io *result);
static bool decode_repeated_dnb_variant_payloads_payloads(zcbor_state_t *state, uint32_t *result);
static bool decode_repeated_dnb_budget_memory_bytes(zcbor_state_t *state, struct dnb_budget_memory_bytes *result);
static bool decode_repeated_dnb_budget_measured_on(zcbor_state_t *state, struct dnb_budget_measured_on *result);
static bool decode_dnb_budget(zcbor_state_t *state, struct dnb_budget *result);
static bool decode_dnb_golden_check(zcbor_state_t *state, struct dnb_golden_check *result);
static bool decode_dnb_variant(zcbor_state_t *state, struct dnb_variant *result);
static bool decode_dnb_baseline(zcbor_state_t *state, struct dnb_baseline *result);
static bool decode_dnb_capture_order(zcbor_state_t *state, struct dnb_capture_order *result);
static bool decode_dnb_result(zcbor_state_t *state, struct dnb_result *result);
static bool decode_dnb_device_description(zcbor_state_t *state, struct dnb_device_description *result);
static bool decode_dnb_receipt(zcbor_state_t *state, struct dnb_receipt *result);
static bool decode_dnb_renew_request(zcbor_state_t *state, struct dnb_renew_request *result);
static bool decode_dnb_enrol_request(zcbor_state_t *state, struct dnb_enrol_request *result);
static bool decode_dnb_server_keys(zcbor_state_t *state, struct dnb_server_keys *result);
static bool decode_dnb_trust(zcbor_state_t *state, struct dnb_trust *result);
static bool decode_dnb_telemetry(zcbor_state_t *state, struct dnb_telemetry *result);
static bool decode_dnb_event(zcbor_state_t *state, struct dnb_event *result);
static bool decode_dnb_reported(zcbor_state_t *state, struct dnb_reported *result);
static bool decode_dnb_claim_token(zcbor_state_t *state, struct dnb_claim_token *result);
static bool decode_dnb_enrol_reply(zcbor_state_t *state, struct dnb_enrol_reply *result);
static bool decode_dnb_wipe_order(zcbor_state_t *state, struct dnb_wipe_order *result);
static bool decode_dnb_ack(zcbor_state_t *state, struct dnb_ack *result);
static bool decode_dnb_settings(zcbor_state_t *state, struct dnb_settings *result);
static bool decode_dnb_golden(zcbor_state_t *state, struct dnb_golden *result);
static bool decode_dnb_payload(zcbor_state_t *state, struct dnb_payload *result);
static bool decode_dnb_fit(zcbor_state_t *state, struct dnb_fit *result);
static bool decode_dnb_desired(zcbor_state_t *state, struct dnb_desired *result);
static bool decode_dnb_directive(zcbor_state_t *state, struct dnb_directive *result);
static bool decode_dnb_manifest(zcbor_state_t *state, struct dnb_manifest *result);
static bool decode_dnb_root(zcbor_state_t *state, struct dnb_root *result);


static bool decode_repeated_dnb_settings_report_interval_s(
		zcbor_state_t *state, struct dnb_settings_report_interval_s *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint32_decode(state, (&(*result).report_interval_s)))
	&& ((((*result).report_interval_s >= 1)
	&& ((*result).report_interval_s <= 86400)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_settings_report_jitter_s(
		zcbor_state_t *state, struct dnb_settings_report_jitter_s *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint32_decode(state, (&(*result).report_jitter_s)))
	&& ((((*result).report_jitter_s <= 3600)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_settings_window(
		zcbor_state_t *state, struct dnb_settings_window *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint32_decode(state, (&(*result).window)))
	&& ((((*result).window >= 1)
	&& ((*result).window <= 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_settings_object_timeout_s(
		zcbor_state_t *state, struct dnb_settings_object_timeout_s *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint32_decode(state, (&(*result).object_timeout_s)))
	&& ((((*result).object_timeout_s >= 1)
	&& ((*result).object_timeout_s <= 3600)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_settings_probation_s(
		zcbor_state_t *state, struct dnb_settings_probation_s *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint32_decode(state, (&(*result).probation_s)))
	&& ((((*result).probation_s <= 604800)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_settings_probation_requests(
		zcbor_state_t *state, struct dnb_settings_probation_requests *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (6))))
	&& (zcbor_uint32_decode(state, (&(*result).probation_requests)))
	&& ((((*result).probation_requests <= 1000000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_settings_probation_max_s(
		zcbor_state_t *state, struct dnb_settings_probation_max_s *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_uint32_decode(state, (&(*result).probation_max_s)))
	&& ((((*result).probation_max_s >= 1)
	&& ((*result).probation_max_s <= 2592000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_settings_telemetry_interval_s(
		zcbor_state_t *state, struct dnb_settings_telemetry_interval_s *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (8))))
	&& (zcbor_uint32_decode(state, (&(*result).telemetry_interval_s)))
	&& ((((*result).telemetry_interval_s >= 1)
	&& ((*result).telemetry_interval_s <= 86400)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_lease(
		zcbor_state_t *state, struct dnb_lease *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_decode(state, (&(*result).seconds)))
	&& ((((*result).seconds >= 60)
	&& ((*result).seconds <= 315360000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"warn", tmp_str.len = sizeof("warn") - 1, &tmp_str))))) && (((*result).action_choice = dnb_lease_action_warn_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"stop", tmp_str.len = sizeof("stop") - 1, &tmp_str))))) && (((*result).action_choice = dnb_lease_action_stop_tstr_c), true))), zcbor_union_end_code(state), int_res)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_desired_index_index(
		zcbor_state_t *state, struct zcbor_string *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_bstr_decode(state, (&(*result))))
	&& ((((((*result).len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_payload_delta_base(
		zcbor_state_t *state, struct dnb_payload_delta_base *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (zcbor_bstr_decode(state, (&(*result).delta_base)))
	&& ((((((*result).delta_base.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_enrol_reply_chain_chain(
		zcbor_state_t *state, struct zcbor_string *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_bstr_decode(state, (&(*result))))
	&& ((((((*result).len >= 1)
	&& ((*result).len <= 2048)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_enrol_reply_chain(
		zcbor_state_t *state, struct dnb_enrol_reply_chain_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 4, &(*result).chain_count, (zcbor_decoder_t *)decode_repeated_dnb_enrol_reply_chain_chain, state, (*&(*result).chain), sizeof(struct zcbor_string))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_enrol_reply_chain_chain(state, (*&(*result).chain));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_enrol_reply_broker_host(
		zcbor_state_t *state, struct dnb_enrol_reply_broker_host *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (zcbor_tstr_decode(state, (&(*result).broker_host)))
	&& ((((*result).broker_host.len >= 0)
	&& ((*result).broker_host.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_enrol_reply_broker_port(
		zcbor_state_t *state, struct dnb_enrol_reply_broker_port *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint32_decode(state, (&(*result).broker_port)))
	&& ((((*result).broker_port <= UINT16_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_enrol_reply_poll_s(
		zcbor_state_t *state, struct dnb_enrol_reply_poll_s *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint32_decode(state, (&(*result).poll_s)))
	&& ((((*result).poll_s <= 3600)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_enrol_reply_root(
		zcbor_state_t *state, struct dnb_enrol_reply_root *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (6))))
	&& (zcbor_bstr_decode(state, (&(*result).root)))
	&& ((((*result).root.len >= 1)
	&& ((*result).root.len <= 16384)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_enrol_reply_reason(
		zcbor_state_t *state, struct dnb_enrol_reply_reason *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_tstr_decode(state, (&(*result).reason)))
	&& ((((*result).reason.len >= 0)
	&& ((*result).reason.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dn_event_kind(
		zcbor_state_t *state, struct dn_event_kind_r *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"boot", tmp_str.len = sizeof("boot") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_boot_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"update-planned", tmp_str.len = sizeof("update-planned") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_update_planned_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"update-refused", tmp_str.len = sizeof("update-refused") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_update_refused_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"update-probation", tmp_str.len = sizeof("update-probation") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_update_probation_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"update-committed", tmp_str.len = sizeof("update-committed") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_update_committed_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"update-rolled-back", tmp_str.len = sizeof("update-rolled-back") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_update_rolled_back_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"model-removed", tmp_str.len = sizeof("model-removed") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_model_removed_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"worker-crashed", tmp_str.len = sizeof("worker-crashed") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_worker_crashed_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"object-corrupt", tmp_str.len = sizeof("object-corrupt") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_object_corrupt_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"directive-refused", tmp_str.len = sizeof("directive-refused") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_directive_refused_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"lease-expired", tmp_str.len = sizeof("lease-expired") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_lease_expired_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"wiped", tmp_str.len = sizeof("wiped") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_wiped_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"wipe-refused", tmp_str.len = sizeof("wipe-refused") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_wipe_refused_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"root-changed", tmp_str.len = sizeof("root-changed") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_root_changed_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"device-fault", tmp_str.len = sizeof("device-fault") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_device_fault_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"note", tmp_str.len = sizeof("note") - 1, &tmp_str))))) && (((*result).dn_event_kind_choice = dn_event_kind_note_tstr_c), true))), zcbor_union_end_code(state), int_res))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_event_model(
		zcbor_state_t *state, struct dnb_event_model *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (6))))
	&& (zcbor_tstr_decode(state, (&(*result).model)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_event_release(
		zcbor_state_t *state, struct dnb_event_release *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_bstr_decode(state, (&(*result).release)))
	&& ((((((*result).release.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_event_code(
		zcbor_state_t *state, struct dnb_event_code *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (8))))
	&& (zcbor_tstr_decode(state, (&(*result).code)))
	&& ((((*result).code.len >= 0)
	&& ((*result).code.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_event_text(
		zcbor_state_t *state, struct dnb_event_text *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (9))))
	&& (zcbor_tstr_decode(state, (&(*result).text)))
	&& ((((*result).text.len >= 0)
	&& ((*result).text.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_event_receipt(
		zcbor_state_t *state, struct dnb_event_receipt *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (10))))
	&& (zcbor_bstr_decode(state, (&(*result).receipt)))
	&& ((((*result).receipt.len >= 1)
	&& ((*result).receipt.len <= 4096)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_keys_root_keys(
		zcbor_state_t *state, struct keys_root_keys *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_bstr_decode(state, (&(*result).root_keys_key)))
	&& ((((((*result).root_keys_key.len == 8)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (zcbor_bstr_decode(state, (&(*result).root_keys)))
	&& ((((((*result).root_keys.len == 91)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dn_role_name(
		zcbor_state_t *state, struct dn_role_name_r *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"root", tmp_str.len = sizeof("root") - 1, &tmp_str))))) && (((*result).dn_role_name_choice = dn_role_name_root_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"release", tmp_str.len = sizeof("release") - 1, &tmp_str))))) && (((*result).dn_role_name_choice = dn_role_name_release_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"director", tmp_str.len = sizeof("director") - 1, &tmp_str))))) && (((*result).dn_role_name_choice = dn_role_name_director_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"ops", tmp_str.len = sizeof("ops") - 1, &tmp_str))))) && (((*result).dn_role_name_choice = dn_role_name_ops_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"ca", tmp_str.len = sizeof("ca") - 1, &tmp_str))))) && (((*result).dn_role_name_choice = dn_role_name_ca_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"vault", tmp_str.len = sizeof("vault") - 1, &tmp_str))))) && (((*result).dn_role_name_choice = dn_role_name_vault_tstr_c), true))), zcbor_union_end_code(state), int_res))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_role_keys_kids_kids(
		zcbor_state_t *state, struct zcbor_string *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_bstr_decode(state, (&(*result))))
	&& ((((((*result).len == 8)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_role_keys(
		zcbor_state_t *state, struct dnb_role_keys *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_decode(state, (&(*result).threshold)))
	&& ((((*result).threshold >= 1)
	&& ((*result).threshold <= 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 16, &(*result).kids_count, (zcbor_decoder_t *)decode_repeated_dnb_role_keys_kids_kids, state, (*&(*result).kids), sizeof(struct zcbor_string))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_role_keys_kids_kids(state, (*&(*result).kids));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_roles_root_roles(
		zcbor_state_t *state, struct roles_root_roles *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((decode_dn_role_name(state, (&(*result).root_roles_key))))
	&& (decode_dnb_role_keys(state, (&(*result).root_roles)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dn_runtime_name(
		zcbor_state_t *state, struct dn_runtime_name_r *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"litert", tmp_str.len = sizeof("litert") - 1, &tmp_str))))) && (((*result).dn_runtime_name_choice = dn_runtime_name_litert_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"onnxruntime", tmp_str.len = sizeof("onnxruntime") - 1, &tmp_str))))) && (((*result).dn_runtime_name_choice = dn_runtime_name_onnxruntime_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"tensorrt", tmp_str.len = sizeof("tensorrt") - 1, &tmp_str))))) && (((*result).dn_runtime_name_choice = dn_runtime_name_tensorrt_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"tflm", tmp_str.len = sizeof("tflm") - 1, &tmp_str))))) && (((*result).dn_runtime_name_choice = dn_runtime_name_tflm_tstr_c), true))), zcbor_union_end_code(state), int_res))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dn_version3_dn_u32_m(
		zcbor_state_t *state, uint32_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_uint32_decode(state, (&(*result))))
	&& ((((((*result) <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dn_version3(
		zcbor_state_t *state, struct dn_version3 *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_list_start_decode(state) && ((zcbor_multi_decode(3, 3, &(*result).dn_u32_m_count, (zcbor_decoder_t *)decode_repeated_dn_version3_dn_u32_m, state, (*&(*result).dn_u32_m), sizeof(uint32_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dn_version3_dn_u32_m(state, (*&(*result).dn_u32_m));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_op(
		zcbor_state_t *state, struct dnb_op *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_tstr_decode(state, (&(*result).opcode)))
	&& ((((((*result).opcode.len >= 1)
	&& ((*result).opcode.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint32_decode(state, (&(*result).version)))
	&& ((((((*result).version <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_fit_arena_bytes(
		zcbor_state_t *state, struct dnb_fit_arena_bytes *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint64_decode(state, (&(*result).arena_bytes)))
	&& ((((*result).arena_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_fit_flash_bytes(
		zcbor_state_t *state, struct dnb_fit_flash_bytes *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).flash_bytes)))
	&& ((((*result).flash_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_fit_memory_bytes(
		zcbor_state_t *state, struct dnb_fit_memory_bytes *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint64_decode(state, (&(*result).memory_bytes)))
	&& ((((*result).memory_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_fit_hardware_classes_hardware_classes(
		zcbor_state_t *state, struct zcbor_string *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_tstr_decode(state, (&(*result))))
	&& ((((((*result).len >= 1)
	&& ((*result).len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_fit_hardware_classes(
		zcbor_state_t *state, struct dnb_fit_hardware_classes_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (6))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 32, &(*result).hardware_classes_count, (zcbor_decoder_t *)decode_repeated_dnb_fit_hardware_classes_hardware_classes, state, (*&(*result).hardware_classes), sizeof(struct zcbor_string))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_fit_hardware_classes_hardware_classes(state, (*&(*result).hardware_classes));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dn_model_store(
		zcbor_state_t *state, struct dn_model_store_r *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"locked", tmp_str.len = sizeof("locked") - 1, &tmp_str))))) && (((*result).dn_model_store_choice = dn_model_store_locked_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"no-swap", tmp_str.len = sizeof("no-swap") - 1, &tmp_str))))) && (((*result).dn_model_store_choice = dn_model_store_no_swap_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"plain-flash", tmp_str.len = sizeof("plain-flash") - 1, &tmp_str))))) && (((*result).dn_model_store_choice = dn_model_store_plain_flash_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"swappable", tmp_str.len = sizeof("swappable") - 1, &tmp_str))))) && (((*result).dn_model_store_choice = dn_model_store_swappable_tstr_c), true))), zcbor_union_end_code(state), int_res))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_fit_stores(
		zcbor_state_t *state, struct dnb_fit_stores_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 4, &(*result).stores_count, (zcbor_decoder_t *)decode_dn_model_store, state, (*&(*result).stores), sizeof(struct dn_model_store_r))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dn_model_store(state, (*&(*result).stores));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_wipe_order_models(
		zcbor_state_t *state, struct dnb_wipe_order_models_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 16, &(*result).models_count, (zcbor_decoder_t *)zcbor_tstr_decode, state, (*&(*result).models), sizeof(struct zcbor_string))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		zcbor_tstr_decode(state, (*&(*result).models));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_wipe_order_reason(
		zcbor_state_t *state, struct dnb_wipe_order_reason *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (5))))
	&& (zcbor_tstr_decode(state, (&(*result).reason)))
	&& ((((*result).reason.len >= 0)
	&& ((*result).reason.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_erased_releases_releases(
		zcbor_state_t *state, struct zcbor_string *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_bstr_decode(state, (&(*result))))
	&& ((((((*result).len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_erased_storage_key(
		zcbor_state_t *state, struct dnb_erased_storage_key *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).storage_key)))
	&& ((((((*result).storage_key.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_erased(
		zcbor_state_t *state, struct dnb_erased *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_tstr_decode(state, (&(*result).model))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 4, &(*result).releases_count, (zcbor_decoder_t *)decode_repeated_dnb_erased_releases_releases, state, (*&(*result).releases), sizeof(struct zcbor_string))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& zcbor_present_decode(&((*result).storage_key_present), (zcbor_decoder_t *)decode_repeated_dnb_erased_storage_key, state, (&(*result).storage_key))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_erased_releases_releases(state, (*&(*result).releases));
		decode_repeated_dnb_erased_storage_key(state, (&(*result).storage_key));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_result_model(
		zcbor_state_t *state, struct dnb_result_model *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (6))))
	&& (zcbor_tstr_decode(state, (&(*result).model)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_result_release(
		zcbor_state_t *state, struct dnb_result_release *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_bstr_decode(state, (&(*result).release)))
	&& ((((((*result).release.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_result_source(
		zcbor_state_t *state, struct dnb_result_source *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (8))))
	&& (zcbor_tstr_decode(state, (&(*result).source)))
	&& ((((*result).source.len >= 0)
	&& ((*result).source.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_result_reason(
		zcbor_state_t *state, struct dnb_result_reason *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (9))))
	&& (zcbor_tstr_decode(state, (&(*result).reason)))
	&& ((((*result).reason.len >= 0)
	&& ((*result).reason.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dn_dtype(
		zcbor_state_t *state, struct dn_dtype_r *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"bool", tmp_str.len = sizeof("bool") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_bool_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"int8", tmp_str.len = sizeof("int8") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_int8_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"uint8", tmp_str.len = sizeof("uint8") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_uint8_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"int16", tmp_str.len = sizeof("int16") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_int16_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"uint16", tmp_str.len = sizeof("uint16") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_uint16_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"int32", tmp_str.len = sizeof("int32") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_int32_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"uint32", tmp_str.len = sizeof("uint32") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_uint32_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"int64", tmp_str.len = sizeof("int64") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_int64_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"uint64", tmp_str.len = sizeof("uint64") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_uint64_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"float16", tmp_str.len = sizeof("float16") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_float16_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"float32", tmp_str.len = sizeof("float32") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_float32_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"float64", tmp_str.len = sizeof("float64") - 1, &tmp_str))))) && (((*result).dn_dtype_choice = dn_dtype_float64_tstr_c), true))), zcbor_union_end_code(state), int_res))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_tensor_data_shape_shape(
		zcbor_state_t *state, uint32_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_uint32_decode(state, (&(*result))))
	&& ((((*result) <= INT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_tensor_data(
		zcbor_state_t *state, struct dnb_tensor_data *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_tstr_decode(state, (&(*result).name)))
	&& ((((((*result).name.len >= 1)
	&& ((*result).name.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (decode_dn_dtype(state, (&(*result).dtype))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 8, &(*result).shape_count, (zcbor_decoder_t *)decode_repeated_dnb_tensor_data_shape_shape, state, (*&(*result).shape), sizeof(uint32_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_bstr_decode(state, (&(*result).data)))
	&& ((((*result).data.len >= 0)
	&& ((*result).data.len <= 67108864)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_tensor_data_shape_shape(state, (*&(*result).shape));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_result_inputs(
		zcbor_state_t *state, struct dnb_result_inputs_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (10))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 32, &(*result).inputs_count, (zcbor_decoder_t *)decode_dnb_tensor_data, state, (*&(*result).inputs), sizeof(struct dnb_tensor_data))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_tensor_data(state, (*&(*result).inputs));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_result_outputs(
		zcbor_state_t *state, struct dnb_result_outputs_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (11))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 32, &(*result).outputs_count, (zcbor_decoder_t *)decode_dnb_tensor_data, state, (*&(*result).outputs), sizeof(struct dnb_tensor_data))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_tensor_data(state, (*&(*result).outputs));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_result_first(
		zcbor_state_t *state, struct dnb_result_first *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (12))))
	&& (zcbor_uint64_decode(state, (&(*result).first)))
	&& ((((*result).first <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_capture_order_random_permille(
		zcbor_state_t *state, struct dnb_capture_order_random_permille *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_uint32_decode(state, (&(*result).random_permille)))
	&& ((((*result).random_permille <= 1000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_capture_order_margin_permille(
		zcbor_state_t *state, struct dnb_capture_order_margin_permille *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (8))))
	&& (zcbor_uint32_decode(state, (&(*result).margin_permille)))
	&& ((((*result).margin_permille <= 1000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_capture_order_disagreement(
		zcbor_state_t *state, void *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (9))))
	&& (zcbor_bool_expect(state, (true)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_capture_order_classes_classes(
		zcbor_state_t *state, uint32_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_uint32_decode(state, (&(*result))))
	&& ((((*result) <= UINT16_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_capture_order_classes(
		zcbor_state_t *state, struct dnb_capture_order_classes_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (10))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 32, &(*result).classes_count, (zcbor_decoder_t *)decode_repeated_dnb_capture_order_classes_classes, state, (*&(*result).classes), sizeof(uint32_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_capture_order_classes_classes(state, (*&(*result).classes));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_feature_expected_expected(
		zcbor_state_t *state, uint32_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_uint32_decode(state, (&(*result))))
	&& ((((*result) <= UINT16_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_feature(
		zcbor_state_t *state, struct dnb_feature *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"input", tmp_str.len = sizeof("input") - 1, &tmp_str))))) && (((*result).side_choice = dnb_feature_side_input_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"output", tmp_str.len = sizeof("output") - 1, &tmp_str))))) && (((*result).side_choice = dnb_feature_side_output_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).tensor)))
	&& ((((((*result).tensor.len >= 1)
	&& ((*result).tensor.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"mean", tmp_str.len = sizeof("mean") - 1, &tmp_str))))) && (((*result).what_choice = dnb_feature_what_mean_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"deviation", tmp_str.len = sizeof("deviation") - 1, &tmp_str))))) && (((*result).what_choice = dnb_feature_what_deviation_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"value", tmp_str.len = sizeof("value") - 1, &tmp_str))))) && (((*result).what_choice = dnb_feature_what_value_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"class", tmp_str.len = sizeof("class") - 1, &tmp_str))))) && (((*result).what_choice = dnb_feature_what_class_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"confidence", tmp_str.len = sizeof("confidence") - 1, &tmp_str))))) && (((*result).what_choice = dnb_feature_what_confidence_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 31, &(*result).edges_count, (zcbor_decoder_t *)zcbor_float_decode, state, (*&(*result).edges), sizeof(double))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(2, 32, &(*result).expected_count, (zcbor_decoder_t *)decode_repeated_dnb_feature_expected_expected, state, (*&(*result).expected), sizeof(uint32_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		zcbor_float_decode(state, (*&(*result).edges));
		decode_repeated_dnb_feature_expected_expected(state, (*&(*result).expected));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_desired_directive_desired(
		zcbor_state_t *state, struct desired_directive_desired *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_tstr_decode(state, (&(*result).directive_desired_key))))
	&& (decode_dnb_desired(state, (&(*result).directive_desired)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_directive_settings(
		zcbor_state_t *state, struct dnb_directive_settings *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_bstr_decode(state, (&(*result).settings)))
	&& ((((((*result).settings.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_directive_wipe(
		zcbor_state_t *state, struct dnb_directive_wipe *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (8))))
	&& (zcbor_bstr_decode(state, (&(*result).wipe)))
	&& ((((*result).wipe.len >= 1)
	&& ((*result).wipe.len <= 4096)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_directive_nonce(
		zcbor_state_t *state, struct dnb_directive_nonce *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (9))))
	&& (zcbor_bstr_decode(state, (&(*result).nonce)))
	&& ((((((*result).nonce.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_directive_root(
		zcbor_state_t *state, struct dnb_directive_root *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (10))))
	&& (zcbor_bstr_decode(state, (&(*result).root)))
	&& ((((((*result).root.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_trial_share(
		zcbor_state_t *state, struct dnb_trial_share *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint32_decode(state, (&(*result).share)))
	&& ((((*result).share <= 999)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_trial(
		zcbor_state_t *state, struct dnb_trial *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (decode_dnb_desired(state, (&(*result).candidate))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"shadow", tmp_str.len = sizeof("shadow") - 1, &tmp_str))))) && (((*result).mode_choice = dnb_trial_mode_shadow_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"split", tmp_str.len = sizeof("split") - 1, &tmp_str))))) && (((*result).mode_choice = dnb_trial_mode_split_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"standby", tmp_str.len = sizeof("standby") - 1, &tmp_str))))) && (((*result).mode_choice = dnb_trial_mode_standby_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& zcbor_present_decode(&((*result).share_present), (zcbor_decoder_t *)decode_repeated_dnb_trial_share, state, (&(*result).share))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_trial_share(state, (&(*result).share));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_trials_directive_trials(
		zcbor_state_t *state, struct trials_directive_trials *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_tstr_decode(state, (&(*result).directive_trials_key))))
	&& (decode_dnb_trial(state, (&(*result).directive_trials)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_directive_trials(
		zcbor_state_t *state, struct dnb_directive_trials_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (11))))
	&& (zcbor_map_start_decode(state) && ((zcbor_multi_decode(1, 16, &(*result).directive_trials_count, (zcbor_decoder_t *)decode_repeated_trials_directive_trials, state, (*&(*result).directive_trials), sizeof(struct trials_directive_trials))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_trials_directive_trials(state, (*&(*result).directive_trials));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_captures_directive_captures(
		zcbor_state_t *state, struct captures_directive_captures *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_tstr_decode(state, (&(*result).directive_captures_key))))
	&& (zcbor_bstr_decode(state, (&(*result).directive_captures)))
	&& ((((*result).directive_captures.len >= 1)
	&& ((*result).directive_captures.len <= 1024)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_directive_captures(
		zcbor_state_t *state, struct dnb_directive_captures_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (12))))
	&& (zcbor_map_start_decode(state) && ((zcbor_multi_decode(1, 16, &(*result).directive_captures_count, (zcbor_decoder_t *)decode_repeated_captures_directive_captures, state, (*&(*result).directive_captures), sizeof(struct captures_directive_captures))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_captures_directive_captures(state, (*&(*result).directive_captures));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_sample(
		zcbor_state_t *state, struct dnb_sample *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 32, &(*result).inputs_count, (zcbor_decoder_t *)decode_dnb_tensor_data, state, (*&(*result).inputs), sizeof(struct dnb_tensor_data))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 32, &(*result).outputs_count, (zcbor_decoder_t *)decode_dnb_tensor_data, state, (*&(*result).outputs), sizeof(struct dnb_tensor_data))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_tensor_data(state, (*&(*result).inputs));
		decode_dnb_tensor_data(state, (*&(*result).outputs));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_device_description_flash_bytes(
		zcbor_state_t *state, struct dnb_device_description_flash_bytes *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint64_decode(state, (&(*result).flash_bytes)))
	&& ((((*result).flash_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_device_description_arena_bytes(
		zcbor_state_t *state, struct dnb_device_description_arena_bytes *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).arena_bytes)))
	&& ((((*result).arena_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_runtime_info_ops(
		zcbor_state_t *state, struct dnb_runtime_info_ops_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 256, &(*result).ops_count, (zcbor_decoder_t *)decode_dnb_op, state, (*&(*result).ops), sizeof(struct dnb_op))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_op(state, (*&(*result).ops));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_runtime_info(
		zcbor_state_t *state, struct dnb_runtime_info *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (decode_dn_runtime_name(state, (&(*result).name))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (decode_dn_version3(state, (&(*result).version))))
	&& zcbor_present_decode(&((*result).ops_present), (zcbor_decoder_t *)decode_repeated_dnb_runtime_info_ops, state, (&(*result).ops))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_runtime_info_ops(state, (&(*result).ops));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_tier(
		zcbor_state_t *state, struct dnb_tier *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"file", tmp_str.len = sizeof("file") - 1, &tmp_str))))) && (((*result).keystore_choice = dnb_tier_keystore_file_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"tpm2", tmp_str.len = sizeof("tpm2") - 1, &tmp_str))))) && (((*result).keystore_choice = dnb_tier_keystore_tpm2_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"pkcs11", tmp_str.len = sizeof("pkcs11") - 1, &tmp_str))))) && (((*result).keystore_choice = dnb_tier_keystore_pkcs11_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"systemd-creds", tmp_str.len = sizeof("systemd-creds") - 1, &tmp_str))))) && (((*result).keystore_choice = dnb_tier_keystore_systemd_creds_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"flash", tmp_str.len = sizeof("flash") - 1, &tmp_str))))) && (((*result).keystore_choice = dnb_tier_keystore_flash_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (decode_dn_model_store(state, (&(*result).model_store))))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_reported_missing_missing(
		zcbor_state_t *state, struct zcbor_string *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_bstr_decode(state, (&(*result))))
	&& ((((((*result).len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_reported_missing(
		zcbor_state_t *state, struct dnb_reported_missing_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 64, &(*result).missing_count, (zcbor_decoder_t *)decode_repeated_dnb_reported_missing_missing, state, (*&(*result).missing), sizeof(struct zcbor_string))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_reported_missing_missing(state, (*&(*result).missing));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dn_phase(
		zcbor_state_t *state, struct dn_phase_r *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"idle", tmp_str.len = sizeof("idle") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_idle_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"planned", tmp_str.len = sizeof("planned") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_planned_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"downloading", tmp_str.len = sizeof("downloading") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_downloading_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"verified", tmp_str.len = sizeof("verified") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_verified_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"staged", tmp_str.len = sizeof("staged") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_staged_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"loaded", tmp_str.len = sizeof("loaded") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_loaded_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"testing", tmp_str.len = sizeof("testing") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_testing_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"trial", tmp_str.len = sizeof("trial") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_trial_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"probation", tmp_str.len = sizeof("probation") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_probation_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"committed", tmp_str.len = sizeof("committed") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_committed_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"rolled-back", tmp_str.len = sizeof("rolled-back") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_rolled_back_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"refused", tmp_str.len = sizeof("refused") - 1, &tmp_str))))) && (((*result).dn_phase_choice = dn_phase_refused_tstr_c), true))), zcbor_union_end_code(state), int_res))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_active(
		zcbor_state_t *state, struct dnb_model_state_active *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (1))))
	&& (zcbor_bstr_decode(state, (&(*result).active)))
	&& ((((((*result).active.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_previous(
		zcbor_state_t *state, struct dnb_model_state_previous *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).previous)))
	&& ((((((*result).previous.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_candidate(
		zcbor_state_t *state, struct dnb_model_state_candidate *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (zcbor_bstr_decode(state, (&(*result).candidate)))
	&& ((((((*result).candidate.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_error_code(
		zcbor_state_t *state, struct dnb_model_state_error_code *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (zcbor_tstr_decode(state, (&(*result).error_code)))
	&& ((((*result).error_code.len >= 0)
	&& ((*result).error_code.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_error_text(
		zcbor_state_t *state, struct dnb_model_state_error_text *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (5))))
	&& (zcbor_tstr_decode(state, (&(*result).error_text)))
	&& ((((*result).error_text.len >= 0)
	&& ((*result).error_text.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_variant(
		zcbor_state_t *state, struct dnb_model_state_variant *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (6))))
	&& (zcbor_tstr_decode(state, (&(*result).variant)))
	&& ((((*result).variant.len >= 0)
	&& ((*result).variant.len <= 24)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_served(
		zcbor_state_t *state, struct dnb_model_state_served *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_uint64_decode(state, (&(*result).served)))
	&& ((((*result).served <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_chunks_have(
		zcbor_state_t *state, struct dnb_model_state_chunks_have *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (8))))
	&& (zcbor_uint64_decode(state, (&(*result).chunks_have)))
	&& ((((*result).chunks_have <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_chunks_need(
		zcbor_state_t *state, struct dnb_model_state_chunks_need *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (9))))
	&& (zcbor_uint64_decode(state, (&(*result).chunks_need)))
	&& ((((*result).chunks_need <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_rejected_reasons_reasons(
		zcbor_state_t *state, struct zcbor_string *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_tstr_decode(state, (&(*result))))
	&& ((((((*result).len >= 0)
	&& ((*result).len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_rejected(
		zcbor_state_t *state, struct dnb_rejected *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_tstr_decode(state, (&(*result).kind))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 16, &(*result).reasons_count, (zcbor_decoder_t *)decode_repeated_dnb_rejected_reasons_reasons, state, (*&(*result).reasons), sizeof(struct zcbor_string))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_rejected_reasons_reasons(state, (*&(*result).reasons));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_state_rejected(
		zcbor_state_t *state, struct dnb_model_state_rejected_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (10))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 8, &(*result).rejected_count, (zcbor_decoder_t *)decode_dnb_rejected, state, (*&(*result).rejected), sizeof(struct dnb_rejected))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_rejected(state, (*&(*result).rejected));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_model_state(
		zcbor_state_t *state, struct dnb_model_state *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (decode_dn_phase(state, (&(*result).phase))))
	&& zcbor_present_decode(&((*result).active_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_active, state, (&(*result).active))
	&& zcbor_present_decode(&((*result).previous_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_previous, state, (&(*result).previous))
	&& zcbor_present_decode(&((*result).candidate_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_candidate, state, (&(*result).candidate))
	&& zcbor_present_decode(&((*result).error_code_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_error_code, state, (&(*result).error_code))
	&& zcbor_present_decode(&((*result).error_text_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_error_text, state, (&(*result).error_text))
	&& zcbor_present_decode(&((*result).variant_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_variant, state, (&(*result).variant))
	&& zcbor_present_decode(&((*result).served_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_served, state, (&(*result).served))
	&& zcbor_present_decode(&((*result).chunks_have_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_chunks_have, state, (&(*result).chunks_have))
	&& zcbor_present_decode(&((*result).chunks_need_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_chunks_need, state, (&(*result).chunks_need))
	&& zcbor_present_decode(&((*result).rejected_present), (zcbor_decoder_t *)decode_repeated_dnb_model_state_rejected, state, (&(*result).rejected))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_model_state_active(state, (&(*result).active));
		decode_repeated_dnb_model_state_previous(state, (&(*result).previous));
		decode_repeated_dnb_model_state_candidate(state, (&(*result).candidate));
		decode_repeated_dnb_model_state_error_code(state, (&(*result).error_code));
		decode_repeated_dnb_model_state_error_text(state, (&(*result).error_text));
		decode_repeated_dnb_model_state_variant(state, (&(*result).variant));
		decode_repeated_dnb_model_state_served(state, (&(*result).served));
		decode_repeated_dnb_model_state_chunks_have(state, (&(*result).chunks_have));
		decode_repeated_dnb_model_state_chunks_need(state, (&(*result).chunks_need));
		decode_repeated_dnb_model_state_rejected(state, (&(*result).rejected));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_models_reported_models(
		zcbor_state_t *state, struct models_reported_models *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_tstr_decode(state, (&(*result).reported_models_key))))
	&& (decode_dnb_model_state(state, (&(*result).reported_models)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_reported_number(
		zcbor_state_t *state, struct dnb_reported_number *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (7))))
	&& (zcbor_uint64_decode(state, (&(*result).number)))
	&& ((((*result).number <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_reported_temperature_dc(
		zcbor_state_t *state, struct dnb_reported_temperature_dc *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (11))))
	&& (zcbor_int32_decode(state, (&(*result).temperature_dc)))
	&& ((((*result).temperature_dc >= -1000)
	&& ((*result).temperature_dc <= 3000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dn_sketch_dn_bucket(
		zcbor_state_t *state, struct dn_sketch_dn_bucket *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_decode(state, (&(*result).dn_bucket_key)))
	&& ((((((*result).dn_bucket_key <= 512)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (zcbor_uint64_decode(state, (&(*result).dn_bucket)))
	&& ((((((*result).dn_bucket <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dn_sketch(
		zcbor_state_t *state, struct dn_sketch *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && ((zcbor_multi_decode(0, 512, &(*result).dn_bucket_count, (zcbor_decoder_t *)decode_repeated_dn_sketch_dn_bucket, state, (*&(*result).dn_bucket), sizeof(struct dn_sketch_dn_bucket))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dn_sketch_dn_bucket(state, (*&(*result).dn_bucket));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_comparison(
		zcbor_state_t *state, struct dnb_comparison *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_bstr_decode(state, (&(*result).candidate)))
	&& ((((((*result).candidate.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"shadow", tmp_str.len = sizeof("shadow") - 1, &tmp_str))))) && (((*result).mode_choice = dnb_comparison_mode_shadow_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"split", tmp_str.len = sizeof("split") - 1, &tmp_str))))) && (((*result).mode_choice = dnb_comparison_mode_split_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint64_decode(state, (&(*result).pairs)))
	&& ((((((*result).pairs <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint64_decode(state, (&(*result).agreed)))
	&& ((((((*result).agreed <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).errors)))
	&& ((((((*result).errors <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint64_decode(state, (&(*result).shed)))
	&& ((((((*result).shed <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (decode_dn_sketch(state, (&(*result).latency_us))))
	&& (((zcbor_uint32_expect(state, (7))))
	&& (decode_dn_sketch(state, (&(*result).distance))))
	&& (((zcbor_uint32_expect(state, (8))))
	&& (zcbor_uint64_decode(state, (&(*result).memory_bytes)))
	&& ((((((*result).memory_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_telemetry_comparison(
		zcbor_state_t *state, struct dnb_model_telemetry_comparison *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (decode_dnb_comparison(state, (&(*result).comparison)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_drift_counts_counts_counts(
		zcbor_state_t *state, uint64_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_uint64_decode(state, (&(*result))))
	&& ((((((*result) <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_drift_counts_expected_expected(
		zcbor_state_t *state, uint32_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_uint32_decode(state, (&(*result))))
	&& ((((*result) <= UINT16_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_drift_counts(
		zcbor_state_t *state, struct dnb_drift_counts *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_tstr_decode(state, (&(*result).feature)))
	&& ((((((((*result).feature.len >= 1)
	&& ((*result).feature.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(2, 32, &(*result).counts_count, (zcbor_decoder_t *)decode_repeated_dnb_drift_counts_counts_counts, state, (*&(*result).counts), sizeof(uint64_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(2, 32, &(*result).expected_count, (zcbor_decoder_t *)decode_repeated_dnb_drift_counts_expected_expected, state, (*&(*result).expected), sizeof(uint32_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_drift_counts_counts_counts(state, (*&(*result).counts));
		decode_repeated_dnb_drift_counts_expected_expected(state, (*&(*result).expected));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_telemetry_drift(
		zcbor_state_t *state, struct dnb_model_telemetry_drift_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (5))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 16, &(*result).drift_count, (zcbor_decoder_t *)decode_dnb_drift_counts, state, (*&(*result).drift), sizeof(struct dnb_drift_counts))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_drift_counts(state, (*&(*result).drift));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_telemetry_confidence_confidence(
		zcbor_state_t *state, uint64_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_uint64_decode(state, (&(*result))))
	&& ((((((*result) <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_model_telemetry_confidence(
		zcbor_state_t *state, struct dnb_model_telemetry_confidence_r *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (6))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(20, 20, &(*result).confidence_count, (zcbor_decoder_t *)decode_repeated_dnb_model_telemetry_confidence_confidence, state, (*&(*result).confidence), sizeof(uint64_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_model_telemetry_confidence_confidence(state, (*&(*result).confidence));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_model_telemetry(
		zcbor_state_t *state, struct dnb_model_telemetry *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_bstr_decode(state, (&(*result).release)))
	&& ((((((*result).release.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint64_decode(state, (&(*result).count)))
	&& ((((((*result).count <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint64_decode(state, (&(*result).errors)))
	&& ((((((*result).errors <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (decode_dn_sketch(state, (&(*result).latency_us))))
	&& zcbor_present_decode(&((*result).comparison_present), (zcbor_decoder_t *)decode_repeated_dnb_model_telemetry_comparison, state, (&(*result).comparison))
	&& zcbor_present_decode(&((*result).drift_present), (zcbor_decoder_t *)decode_repeated_dnb_model_telemetry_drift, state, (&(*result).drift))
	&& zcbor_present_decode(&((*result).confidence_present), (zcbor_decoder_t *)decode_repeated_dnb_model_telemetry_confidence, state, (&(*result).confidence))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_model_telemetry_comparison(state, (&(*result).comparison));
		decode_repeated_dnb_model_telemetry_drift(state, (&(*result).drift));
		decode_repeated_dnb_model_telemetry_confidence(state, (&(*result).confidence));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_models_telemetry_models(
		zcbor_state_t *state, struct models_telemetry_models *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_tstr_decode(state, (&(*result).telemetry_models_key))))
	&& (decode_dnb_model_telemetry(state, (&(*result).telemetry_models)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_hardware_temperature_dc(
		zcbor_state_t *state, struct dnb_hardware_temperature_dc *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_int32_decode(state, (&(*result).temperature_dc)))
	&& ((((*result).temperature_dc >= -1000)
	&& ((*result).temperature_dc <= 3000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_hardware_throttled(
		zcbor_state_t *state, struct dnb_hardware_throttled *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint32_decode(state, (&(*result).throttled)))
	&& ((((*result).throttled <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_hardware_power_mw(
		zcbor_state_t *state, struct dnb_hardware_power_mw *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint32_decode(state, (&(*result).power_mw)))
	&& ((((((*result).power_mw <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_hardware_gpu_permille(
		zcbor_state_t *state, struct dnb_hardware_gpu_permille *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint32_decode(state, (&(*result).gpu_permille)))
	&& ((((*result).gpu_permille <= 1000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_hardware_power_mode(
		zcbor_state_t *state, struct dnb_hardware_power_mode *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (zcbor_tstr_decode(state, (&(*result).power_mode)))
	&& ((((*result).power_mode.len >= 0)
	&& ((*result).power_mode.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_hardware_policy(
		zcbor_state_t *state, struct dnb_hardware_policy_r *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = ((((zcbor_uint32_expect(state, (5))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"reduced", tmp_str.len = sizeof("reduced") - 1, &tmp_str))))) && (((*result).policy_choice = dnb_hardware_policy_reduced_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"paused", tmp_str.len = sizeof("paused") - 1, &tmp_str))))) && (((*result).policy_choice = dnb_hardware_policy_paused_tstr_c), true))), zcbor_union_end_code(state), int_res))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_hardware(
		zcbor_state_t *state, struct dnb_hardware *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && ((zcbor_present_decode(&((*result).temperature_dc_present), (zcbor_decoder_t *)decode_repeated_dnb_hardware_temperature_dc, state, (&(*result).temperature_dc))
	&& zcbor_present_decode(&((*result).throttled_present), (zcbor_decoder_t *)decode_repeated_dnb_hardware_throttled, state, (&(*result).throttled))
	&& zcbor_present_decode(&((*result).power_mw_present), (zcbor_decoder_t *)decode_repeated_dnb_hardware_power_mw, state, (&(*result).power_mw))
	&& zcbor_present_decode(&((*result).gpu_permille_present), (zcbor_decoder_t *)decode_repeated_dnb_hardware_gpu_permille, state, (&(*result).gpu_permille))
	&& zcbor_present_decode(&((*result).power_mode_present), (zcbor_decoder_t *)decode_repeated_dnb_hardware_power_mode, state, (&(*result).power_mode))
	&& zcbor_present_decode(&((*result).policy_present), (zcbor_decoder_t *)decode_repeated_dnb_hardware_policy, state, (&(*result).policy))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_hardware_temperature_dc(state, (&(*result).temperature_dc));
		decode_repeated_dnb_hardware_throttled(state, (&(*result).throttled));
		decode_repeated_dnb_hardware_power_mw(state, (&(*result).power_mw));
		decode_repeated_dnb_hardware_gpu_permille(state, (&(*result).gpu_permille));
		decode_repeated_dnb_hardware_power_mode(state, (&(*result).power_mode));
		decode_repeated_dnb_hardware_policy(state, (&(*result).policy));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_telemetry_hardware(
		zcbor_state_t *state, struct dnb_telemetry_hardware *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (4))))
	&& (decode_dnb_hardware(state, (&(*result).hardware)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_tensor_shape_shape(
		zcbor_state_t *state, int32_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_int32_decode(state, (&(*result))))
	&& ((((((*result) >= -1)
	&& ((*result) <= INT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_quantization(
		zcbor_state_t *state, struct dnb_quantization *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_float_decode(state, (&(*result).scale))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_int32_decode(state, (&(*result).zero_point)))
	&& ((((*result).zero_point >= INT16_MIN)
	&& ((*result).zero_point <= UINT16_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_tensor_quantization(
		zcbor_state_t *state, struct dnb_tensor_quantization *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (decode_dnb_quantization(state, (&(*result).quantization)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_tensor(
		zcbor_state_t *state, struct dnb_tensor *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_tstr_decode(state, (&(*result).name)))
	&& ((((((*result).name.len >= 1)
	&& ((*result).name.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (decode_dn_dtype(state, (&(*result).dtype))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 8, &(*result).shape_count, (zcbor_decoder_t *)decode_repeated_dnb_tensor_shape_shape, state, (*&(*result).shape), sizeof(int32_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& zcbor_present_decode(&((*result).quantization_present), (zcbor_decoder_t *)decode_repeated_dnb_tensor_quantization, state, (&(*result).quantization))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_tensor_shape_shape(state, (*&(*result).shape));
		decode_repeated_dnb_tensor_quantization(state, (&(*result).quantization));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_preprocess(
		zcbor_state_t *state, struct dnb_preprocess *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_decode(state, (&(*result).height)))
	&& ((((*result).height >= 1)
	&& ((*result).height <= UINT16_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint32_decode(state, (&(*result).width)))
	&& ((((*result).width >= 1)
	&& ((*result).width <= UINT16_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"NHWC", tmp_str.len = sizeof("NHWC") - 1, &tmp_str))))) && (((*result).layout_choice = dnb_preprocess_layout_NHWC_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"NCHW", tmp_str.len = sizeof("NCHW") - 1, &tmp_str))))) && (((*result).layout_choice = dnb_preprocess_layout_NCHW_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"rgb", tmp_str.len = sizeof("rgb") - 1, &tmp_str))))) && (((*result).color_choice = dnb_preprocess_color_rgb_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"grey", tmp_str.len = sizeof("grey") - 1, &tmp_str))))) && (((*result).color_choice = dnb_preprocess_color_grey_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 4, &(*result).mean_count, (zcbor_decoder_t *)zcbor_float_decode, state, (*&(*result).mean), sizeof(double))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 4, &(*result).std_count, (zcbor_decoder_t *)zcbor_float_decode, state, (*&(*result).std), sizeof(double))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		zcbor_float_decode(state, (*&(*result).mean));
		zcbor_float_decode(state, (*&(*result).std));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_io_preprocess(
		zcbor_state_t *state, struct dnb_io_preprocess *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (decode_dnb_preprocess(state, (&(*result).preprocess)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_postprocess_labels(
		zcbor_state_t *state, struct dnb_postprocess_labels *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint32_decode(state, (&(*result).labels)))
	&& ((((((*result).labels <= 31)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_postprocess(
		zcbor_state_t *state, struct dnb_postprocess *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_bool_decode(state, (&(*result).softmax))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint32_decode(state, (&(*result).top_k)))
	&& ((((*result).top_k >= 1)
	&& ((*result).top_k <= 1000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).labels_present), (zcbor_decoder_t *)decode_repeated_dnb_postprocess_labels, state, (&(*result).labels))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_postprocess_labels(state, (&(*result).labels));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_io_postprocess(
		zcbor_state_t *state, struct dnb_io_postprocess *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (3))))
	&& (decode_dnb_postprocess(state, (&(*result).postprocess)))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_io(
		zcbor_state_t *state, struct dnb_io *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 32, &(*result).inputs_count, (zcbor_decoder_t *)decode_dnb_tensor, state, (*&(*result).inputs), sizeof(struct dnb_tensor))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 32, &(*result).outputs_count, (zcbor_decoder_t *)decode_dnb_tensor, state, (*&(*result).outputs), sizeof(struct dnb_tensor))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& zcbor_present_decode(&((*result).preprocess_present), (zcbor_decoder_t *)decode_repeated_dnb_io_preprocess, state, (&(*result).preprocess))
	&& zcbor_present_decode(&((*result).postprocess_present), (zcbor_decoder_t *)decode_repeated_dnb_io_postprocess, state, (&(*result).postprocess))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_tensor(state, (*&(*result).inputs));
		decode_dnb_tensor(state, (*&(*result).outputs));
		decode_repeated_dnb_io_preprocess(state, (&(*result).preprocess));
		decode_repeated_dnb_io_postprocess(state, (&(*result).postprocess));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_variant_payloads_payloads(
		zcbor_state_t *state, uint32_t *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_uint32_decode(state, (&(*result))))
	&& ((((((*result) <= 31)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_budget_memory_bytes(
		zcbor_state_t *state, struct dnb_budget_memory_bytes *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint64_decode(state, (&(*result).memory_bytes)))
	&& ((((*result).memory_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_repeated_dnb_budget_measured_on(
		zcbor_state_t *state, struct dnb_budget_measured_on *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = ((((zcbor_uint32_expect(state, (2))))
	&& (zcbor_tstr_decode(state, (&(*result).measured_on)))
	&& ((((*result).measured_on.len >= 0)
	&& ((*result).measured_on.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_budget(
		zcbor_state_t *state, struct dnb_budget *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_decode(state, (&(*result).p95_us)))
	&& ((((*result).p95_us >= 1)
	&& ((*result).p95_us <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).memory_bytes_present), (zcbor_decoder_t *)decode_repeated_dnb_budget_memory_bytes, state, (&(*result).memory_bytes))
	&& zcbor_present_decode(&((*result).measured_on_present), (zcbor_decoder_t *)decode_repeated_dnb_budget_measured_on, state, (&(*result).measured_on))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_budget_memory_bytes(state, (&(*result).memory_bytes));
		decode_repeated_dnb_budget_measured_on(state, (&(*result).measured_on));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_golden_check(
		zcbor_state_t *state, struct dnb_golden_check *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_decode(state, (&(*result).payload)))
	&& ((((((*result).payload <= 31)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_float_decode(state, (&(*result).tolerance))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint32_decode(state, (&(*result).top1_permille)))
	&& ((((*result).top1_permille <= 1000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_variant(
		zcbor_state_t *state, struct dnb_variant *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_tstr_decode(state, (&(*result).kind))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (decode_dnb_fit(state, (&(*result).fit))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (decode_dnb_io(state, (&(*result).io))))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 16, &(*result).payloads_count, (zcbor_decoder_t *)decode_repeated_dnb_variant_payloads_payloads, state, (*&(*result).payloads), sizeof(uint32_t))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (decode_dnb_budget(state, (&(*result).budget))))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (decode_dnb_golden_check(state, (&(*result).golden))))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_variant_payloads_payloads(state, (*&(*result).payloads));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_baseline(
		zcbor_state_t *state, struct dnb_baseline *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 16, &(*result).features_count, (zcbor_decoder_t *)decode_dnb_feature, state, (*&(*result).features), sizeof(struct dnb_feature))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_feature(state, (*&(*result).features));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_capture_order(
		zcbor_state_t *state, struct dnb_capture_order *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).device))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).order_id)))
	&& ((((((*result).order_id.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_tstr_decode(state, (&(*result).model))))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).issued)))
	&& ((((((*result).issued <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint64_decode(state, (&(*result).not_after)))
	&& ((((((*result).not_after <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (zcbor_uint32_decode(state, (&(*result).per_day)))
	&& ((((*result).per_day >= 1)
	&& ((*result).per_day <= 100000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).random_permille_present), (zcbor_decoder_t *)decode_repeated_dnb_capture_order_random_permille, state, (&(*result).random_permille))
	&& zcbor_present_decode(&((*result).margin_permille_present), (zcbor_decoder_t *)decode_repeated_dnb_capture_order_margin_permille, state, (&(*result).margin_permille))
	&& zcbor_present_decode(&((*result).disagreement_present), (zcbor_decoder_t *)decode_repeated_dnb_capture_order_disagreement, state, NULL)
	&& zcbor_present_decode(&((*result).classes_present), (zcbor_decoder_t *)decode_repeated_dnb_capture_order_classes, state, (&(*result).classes))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_capture_order_random_permille(state, (&(*result).random_permille));
		decode_repeated_dnb_capture_order_margin_permille(state, (&(*result).margin_permille));
		decode_repeated_dnb_capture_order_disagreement(state, NULL);
		decode_repeated_dnb_capture_order_classes(state, (&(*result).classes));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_result(
		zcbor_state_t *state, struct dnb_result *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_bstr_decode(state, (&(*result).stream)))
	&& ((((((*result).stream.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint64_decode(state, (&(*result).n)))
	&& ((((((*result).n >= 1)
	&& ((*result).n <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint64_decode(state, (&(*result).time_s)))
	&& ((((((*result).time_s <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).uptime_s)))
	&& ((((((*result).uptime_s <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"result", tmp_str.len = sizeof("result") - 1, &tmp_str))))) && (((*result).kind_choice = dnb_result_kind_result_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"capture", tmp_str.len = sizeof("capture") - 1, &tmp_str))))) && (((*result).kind_choice = dnb_result_kind_capture_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"gap", tmp_str.len = sizeof("gap") - 1, &tmp_str))))) && (((*result).kind_choice = dnb_result_kind_gap_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& zcbor_present_decode(&((*result).model_present), (zcbor_decoder_t *)decode_repeated_dnb_result_model, state, (&(*result).model))
	&& zcbor_present_decode(&((*result).release_present), (zcbor_decoder_t *)decode_repeated_dnb_result_release, state, (&(*result).release))
	&& zcbor_present_decode(&((*result).source_present), (zcbor_decoder_t *)decode_repeated_dnb_result_source, state, (&(*result).source))
	&& zcbor_present_decode(&((*result).reason_present), (zcbor_decoder_t *)decode_repeated_dnb_result_reason, state, (&(*result).reason))
	&& zcbor_present_decode(&((*result).inputs_present), (zcbor_decoder_t *)decode_repeated_dnb_result_inputs, state, (&(*result).inputs))
	&& zcbor_present_decode(&((*result).outputs_present), (zcbor_decoder_t *)decode_repeated_dnb_result_outputs, state, (&(*result).outputs))
	&& zcbor_present_decode(&((*result).first_present), (zcbor_decoder_t *)decode_repeated_dnb_result_first, state, (&(*result).first))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_result_model(state, (&(*result).model));
		decode_repeated_dnb_result_release(state, (&(*result).release));
		decode_repeated_dnb_result_source(state, (&(*result).source));
		decode_repeated_dnb_result_reason(state, (&(*result).reason));
		decode_repeated_dnb_result_inputs(state, (&(*result).inputs));
		decode_repeated_dnb_result_outputs(state, (&(*result).outputs));
		decode_repeated_dnb_result_first(state, (&(*result).first));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_device_description(
		zcbor_state_t *state, struct dnb_device_description *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_tstr_decode(state, (&(*result).hardware_class)))
	&& ((((((*result).hardware_class.len >= 1)
	&& ((*result).hardware_class.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).arch)))
	&& ((((((*result).arch.len >= 1)
	&& ((*result).arch.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint64_decode(state, (&(*result).memory_bytes)))
	&& ((((((*result).memory_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).flash_bytes_present), (zcbor_decoder_t *)decode_repeated_dnb_device_description_flash_bytes, state, (&(*result).flash_bytes))
	&& zcbor_present_decode(&((*result).arena_bytes_present), (zcbor_decoder_t *)decode_repeated_dnb_device_description_arena_bytes, state, (&(*result).arena_bytes))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 8, &(*result).runtimes_count, (zcbor_decoder_t *)decode_dnb_runtime_info, state, (*&(*result).runtimes), sizeof(struct dnb_runtime_info))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (decode_dnb_tier(state, (&(*result).tier))))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_runtime_info(state, (*&(*result).runtimes));
		decode_repeated_dnb_device_description_flash_bytes(state, (&(*result).flash_bytes));
		decode_repeated_dnb_device_description_arena_bytes(state, (&(*result).arena_bytes));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_receipt(
		zcbor_state_t *state, struct dnb_receipt *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).device))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).order_digest)))
	&& ((((((*result).order_digest.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 16, &(*result).erased_count, (zcbor_decoder_t *)decode_dnb_erased, state, (*&(*result).erased), sizeof(struct dnb_erased))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_tstr_decode(state, (&(*result).method)))
	&& ((((((*result).method.len >= 0)
	&& ((*result).method.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"clear", tmp_str.len = sizeof("clear") - 1, &tmp_str))))) && (((*result).assurance_choice = dnb_receipt_assurance_clear_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"purge", tmp_str.len = sizeof("purge") - 1, &tmp_str))))) && (((*result).assurance_choice = dnb_receipt_assurance_purge_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (zcbor_bool_decode(state, (&(*result).canary_unreadable))))
	&& (((zcbor_uint32_expect(state, (7))))
	&& (zcbor_uint64_decode(state, (&(*result).files)))
	&& ((((((*result).files <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (8))))
	&& (zcbor_uint64_decode(state, (&(*result).bytes_erased)))
	&& ((((((*result).bytes_erased <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (9))))
	&& (zcbor_uint64_decode(state, (&(*result).time_s)))
	&& ((((((*result).time_s <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (10))))
	&& (zcbor_bstr_decode(state, (&(*result).kem)))
	&& ((((((*result).kem.len == 91)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_erased(state, (*&(*result).erased));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_renew_request(
		zcbor_state_t *state, struct dnb_renew_request *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).device))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).spki)))
	&& ((((((*result).spki.len == 91)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_enrol_request(
		zcbor_state_t *state, struct dnb_enrol_request *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).device))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).token_id)))
	&& ((((*result).token_id.len == 8)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_bstr_decode(state, (&(*result).secret)))
	&& ((((((*result).secret.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_bstr_decode(state, (&(*result).spki)))
	&& ((((((*result).spki.len == 91)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_bstr_decode(state, (&(*result).kem)))
	&& ((((((*result).kem.len == 91)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (decode_dnb_device_description(state, (&(*result).description))))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_server_keys(
		zcbor_state_t *state, struct dnb_server_keys *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_bstr_decode(state, (&(*result).director)))
	&& ((((((*result).director.len == 91)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).vault)))
	&& ((((((*result).vault.len == 91)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_bstr_decode(state, (&(*result).ca)))
	&& ((((((*result).ca.len == 91)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_trust(
		zcbor_state_t *state, struct dnb_trust *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_bstr_decode(state, (&(*result).root)))
	&& ((((*result).root.len >= 1)
	&& ((*result).root.len <= 16384)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).ca)))
	&& ((((((*result).ca.len >= 1)
	&& ((*result).ca.len <= 2048)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_telemetry(
		zcbor_state_t *state, struct dnb_telemetry *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_map_start_decode(state) && ((zcbor_multi_decode(0, 16, &(*result).telemetry_models_count, (zcbor_decoder_t *)decode_repeated_models_telemetry_models, state, (*&(*result).telemetry_models), sizeof(struct models_telemetry_models))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint64_decode(state, (&(*result).memory_bytes)))
	&& ((((((*result).memory_bytes <= 281474976710656ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint32_decode(state, (&(*result).load_permille)))
	&& ((((*result).load_permille <= 1000000)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).hardware_present), (zcbor_decoder_t *)decode_repeated_dnb_telemetry_hardware, state, (&(*result).hardware))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_models_telemetry_models(state, (*&(*result).telemetry_models));
		decode_repeated_dnb_telemetry_hardware(state, (&(*result).hardware));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_event(
		zcbor_state_t *state, struct dnb_event *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_bstr_decode(state, (&(*result).stream)))
	&& ((((((*result).stream.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint64_decode(state, (&(*result).n)))
	&& ((((((*result).n >= 1)
	&& ((*result).n <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (decode_dn_event_kind(state, (&(*result).kind))))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).time_s)))
	&& ((((((*result).time_s <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint64_decode(state, (&(*result).uptime_s)))
	&& ((((((*result).uptime_s <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).model_present), (zcbor_decoder_t *)decode_repeated_dnb_event_model, state, (&(*result).model))
	&& zcbor_present_decode(&((*result).release_present), (zcbor_decoder_t *)decode_repeated_dnb_event_release, state, (&(*result).release))
	&& zcbor_present_decode(&((*result).code_present), (zcbor_decoder_t *)decode_repeated_dnb_event_code, state, (&(*result).code))
	&& zcbor_present_decode(&((*result).text_present), (zcbor_decoder_t *)decode_repeated_dnb_event_text, state, (&(*result).text))
	&& zcbor_present_decode(&((*result).receipt_present), (zcbor_decoder_t *)decode_repeated_dnb_event_receipt, state, (&(*result).receipt))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_event_model(state, (&(*result).model));
		decode_repeated_dnb_event_release(state, (&(*result).release));
		decode_repeated_dnb_event_code(state, (&(*result).code));
		decode_repeated_dnb_event_text(state, (&(*result).text));
		decode_repeated_dnb_event_receipt(state, (&(*result).receipt));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_reported(
		zcbor_state_t *state, struct dnb_reported *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint32_decode(state, (&(*result).epoch)))
	&& ((((((*result).epoch <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint64_decode(state, (&(*result).seq)))
	&& ((((((*result).seq <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_bstr_decode(state, (&(*result).boot_nonce)))
	&& ((((((*result).boot_nonce.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).missing_present), (zcbor_decoder_t *)decode_repeated_dnb_reported_missing, state, (&(*result).missing))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_map_start_decode(state) && ((zcbor_multi_decode(0, 16, &(*result).reported_models_count, (zcbor_decoder_t *)decode_repeated_models_reported_models, state, (*&(*result).reported_models), sizeof(struct models_reported_models))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (decode_dnb_device_description(state, (&(*result).device))))
	&& zcbor_present_decode(&((*result).number_present), (zcbor_decoder_t *)decode_repeated_dnb_reported_number, state, (&(*result).number))
	&& (((zcbor_uint32_expect(state, (8))))
	&& (zcbor_uint64_decode(state, (&(*result).uptime_s)))
	&& ((((((*result).uptime_s <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (9))))
	&& (zcbor_uint64_decode(state, (&(*result).time_s)))
	&& ((((((*result).time_s <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (10))))
	&& (zcbor_tstr_decode(state, (&(*result).agent_version)))
	&& ((((*result).agent_version.len >= 0)
	&& ((*result).agent_version.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).temperature_dc_present), (zcbor_decoder_t *)decode_repeated_dnb_reported_temperature_dc, state, (&(*result).temperature_dc))
	&& (((zcbor_uint32_expect(state, (12))))
	&& (zcbor_uint32_decode(state, (&(*result).root_version)))
	&& ((((*result).root_version >= 1)
	&& ((*result).root_version <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_models_reported_models(state, (*&(*result).reported_models));
		decode_repeated_dnb_reported_missing(state, (&(*result).missing));
		decode_repeated_dnb_reported_number(state, (&(*result).number));
		decode_repeated_dnb_reported_temperature_dc(state, (&(*result).temperature_dc));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_claim_token(
		zcbor_state_t *state, struct dnb_claim_token *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).url)))
	&& ((((((*result).url.len >= 1)
	&& ((*result).url.len <= 256)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).root_digest)))
	&& ((((((*result).root_digest.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_bstr_decode(state, (&(*result).token_id)))
	&& ((((*result).token_id.len == 8)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_bstr_decode(state, (&(*result).secret)))
	&& ((((((*result).secret.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint64_decode(state, (&(*result).expires)))
	&& ((((((*result).expires <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_enrol_reply(
		zcbor_state_t *state, struct dnb_enrol_reply *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"issued", tmp_str.len = sizeof("issued") - 1, &tmp_str))))) && (((*result).status_choice = dnb_enrol_reply_status_issued_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"pending", tmp_str.len = sizeof("pending") - 1, &tmp_str))))) && (((*result).status_choice = dnb_enrol_reply_status_pending_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"refused", tmp_str.len = sizeof("refused") - 1, &tmp_str))))) && (((*result).status_choice = dnb_enrol_reply_status_refused_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& zcbor_present_decode(&((*result).chain_present), (zcbor_decoder_t *)decode_repeated_dnb_enrol_reply_chain, state, (&(*result).chain))
	&& zcbor_present_decode(&((*result).broker_host_present), (zcbor_decoder_t *)decode_repeated_dnb_enrol_reply_broker_host, state, (&(*result).broker_host))
	&& zcbor_present_decode(&((*result).broker_port_present), (zcbor_decoder_t *)decode_repeated_dnb_enrol_reply_broker_port, state, (&(*result).broker_port))
	&& zcbor_present_decode(&((*result).poll_s_present), (zcbor_decoder_t *)decode_repeated_dnb_enrol_reply_poll_s, state, (&(*result).poll_s))
	&& zcbor_present_decode(&((*result).root_present), (zcbor_decoder_t *)decode_repeated_dnb_enrol_reply_root, state, (&(*result).root))
	&& zcbor_present_decode(&((*result).reason_present), (zcbor_decoder_t *)decode_repeated_dnb_enrol_reply_reason, state, (&(*result).reason))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_enrol_reply_chain(state, (&(*result).chain));
		decode_repeated_dnb_enrol_reply_broker_host(state, (&(*result).broker_host));
		decode_repeated_dnb_enrol_reply_broker_port(state, (&(*result).broker_port));
		decode_repeated_dnb_enrol_reply_poll_s(state, (&(*result).poll_s));
		decode_repeated_dnb_enrol_reply_root(state, (&(*result).root));
		decode_repeated_dnb_enrol_reply_reason(state, (&(*result).reason));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_wipe_order(
		zcbor_state_t *state, struct dnb_wipe_order *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).device))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).order_id)))
	&& ((((((*result).order_id.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).models_present), (zcbor_decoder_t *)decode_repeated_dnb_wipe_order_models, state, (&(*result).models))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).issued)))
	&& ((((((*result).issued <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& zcbor_present_decode(&((*result).reason_present), (zcbor_decoder_t *)decode_repeated_dnb_wipe_order_reason, state, (&(*result).reason))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_wipe_order_models(state, (&(*result).models));
		decode_repeated_dnb_wipe_order_reason(state, (&(*result).reason));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_ack(
		zcbor_state_t *state, struct dnb_ack *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).device))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).stream)))
	&& ((((((*result).stream.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint64_decode(state, (&(*result).n)))
	&& ((((((*result).n >= 1)
	&& ((*result).n <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_settings(
		zcbor_state_t *state, struct dnb_settings *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& zcbor_present_decode(&((*result).report_interval_s_present), (zcbor_decoder_t *)decode_repeated_dnb_settings_report_interval_s, state, (&(*result).report_interval_s))
	&& zcbor_present_decode(&((*result).report_jitter_s_present), (zcbor_decoder_t *)decode_repeated_dnb_settings_report_jitter_s, state, (&(*result).report_jitter_s))
	&& zcbor_present_decode(&((*result).window_present), (zcbor_decoder_t *)decode_repeated_dnb_settings_window, state, (&(*result).window))
	&& zcbor_present_decode(&((*result).object_timeout_s_present), (zcbor_decoder_t *)decode_repeated_dnb_settings_object_timeout_s, state, (&(*result).object_timeout_s))
	&& zcbor_present_decode(&((*result).probation_s_present), (zcbor_decoder_t *)decode_repeated_dnb_settings_probation_s, state, (&(*result).probation_s))
	&& zcbor_present_decode(&((*result).probation_requests_present), (zcbor_decoder_t *)decode_repeated_dnb_settings_probation_requests, state, (&(*result).probation_requests))
	&& zcbor_present_decode(&((*result).probation_max_s_present), (zcbor_decoder_t *)decode_repeated_dnb_settings_probation_max_s, state, (&(*result).probation_max_s))
	&& zcbor_present_decode(&((*result).telemetry_interval_s_present), (zcbor_decoder_t *)decode_repeated_dnb_settings_telemetry_interval_s, state, (&(*result).telemetry_interval_s))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_settings_report_interval_s(state, (&(*result).report_interval_s));
		decode_repeated_dnb_settings_report_jitter_s(state, (&(*result).report_jitter_s));
		decode_repeated_dnb_settings_window(state, (&(*result).window));
		decode_repeated_dnb_settings_object_timeout_s(state, (&(*result).object_timeout_s));
		decode_repeated_dnb_settings_probation_s(state, (&(*result).probation_s));
		decode_repeated_dnb_settings_probation_requests(state, (&(*result).probation_requests));
		decode_repeated_dnb_settings_probation_max_s(state, (&(*result).probation_max_s));
		decode_repeated_dnb_settings_telemetry_interval_s(state, (&(*result).telemetry_interval_s));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_golden(
		zcbor_state_t *state, struct dnb_golden *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 256, &(*result).samples_count, (zcbor_decoder_t *)decode_dnb_sample, state, (*&(*result).samples), sizeof(struct dnb_sample))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_sample(state, (*&(*result).samples));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_payload(
		zcbor_state_t *state, struct dnb_payload *result)
{
	zcbor_log("%s\r\n", __func__);
	struct zcbor_string tmp_str;
	bool int_res;

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_bstr_decode(state, (&(*result).id)))
	&& ((((((*result).id.len == 16)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"model", tmp_str.len = sizeof("model") - 1, &tmp_str))))) && (((*result).role_choice = dnb_payload_role_model_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"labels", tmp_str.len = sizeof("labels") - 1, &tmp_str))))) && (((*result).role_choice = dnb_payload_role_labels_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"golden", tmp_str.len = sizeof("golden") - 1, &tmp_str))))) && (((*result).role_choice = dnb_payload_role_golden_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"baseline", tmp_str.len = sizeof("baseline") - 1, &tmp_str))))) && (((*result).role_choice = dnb_payload_role_baseline_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"report", tmp_str.len = sizeof("report") - 1, &tmp_str))))) && (((*result).role_choice = dnb_payload_role_report_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"provenance", tmp_str.len = sizeof("provenance") - 1, &tmp_str))))) && (((*result).role_choice = dnb_payload_role_provenance_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_union_start_code(state) && (int_res = ((((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"tflite", tmp_str.len = sizeof("tflite") - 1, &tmp_str))))) && (((*result).format_choice = dnb_payload_format_tflite_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"onnx", tmp_str.len = sizeof("onnx") - 1, &tmp_str))))) && (((*result).format_choice = dnb_payload_format_onnx_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"tflm", tmp_str.len = sizeof("tflm") - 1, &tmp_str))))) && (((*result).format_choice = dnb_payload_format_tflm_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"cbor", tmp_str.len = sizeof("cbor") - 1, &tmp_str))))) && (((*result).format_choice = dnb_payload_format_cbor_tstr_c), true))
	|| (((zcbor_tstr_expect(state, ((tmp_str.value = (uint8_t *)"text", tmp_str.len = sizeof("text") - 1, &tmp_str))))) && (((*result).format_choice = dnb_payload_format_text_tstr_c), true))), zcbor_union_end_code(state), int_res)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (((zcbor_uint_decode(state, &(*result).compression_choice, sizeof((*result).compression_choice)))) && ((((((*result).compression_choice == dnb_payload_compression_uint0_c) && ((1)))
	|| (((*result).compression_choice == dnb_payload_compression_uint1_c) && ((1)))) || (zcbor_error(state, ZCBOR_ERR_WRONG_VALUE), false)))))
	&& zcbor_present_decode(&((*result).delta_base_present), (zcbor_decoder_t *)decode_repeated_dnb_payload_delta_base, state, (&(*result).delta_base))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint64_decode(state, (&(*result).installed_length)))
	&& ((((((*result).installed_length <= 17179869184ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (zcbor_bstr_decode(state, (&(*result).installed_sha256)))
	&& ((((((*result).installed_sha256.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (7))))
	&& (zcbor_uint64_decode(state, (&(*result).plaintext_length)))
	&& ((((((*result).plaintext_length <= 17179869184ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (8))))
	&& (zcbor_uint64_decode(state, (&(*result).ciphertext_length)))
	&& ((((((*result).ciphertext_length <= 17179869184ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (9))))
	&& (zcbor_uint32_decode(state, (&(*result).chunk_log2)))
	&& ((((*result).chunk_log2 >= 12)
	&& ((*result).chunk_log2 <= 20)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (10))))
	&& (zcbor_uint32_decode(state, (&(*result).chunk_count)))
	&& ((((*result).chunk_count >= 1)
	&& ((*result).chunk_count <= 262144)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (11))))
	&& (zcbor_bstr_decode(state, (&(*result).merkle_root)))
	&& ((((((*result).merkle_root.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (12))))
	&& (zcbor_uint32_expect(state, (24))))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_payload_delta_base(state, (&(*result).delta_base));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_fit(
		zcbor_state_t *state, struct dnb_fit *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (decode_dn_runtime_name(state, (&(*result).runtime))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (decode_dn_version3(state, (&(*result).min_version))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(0, 256, &(*result).ops_count, (zcbor_decoder_t *)decode_dnb_op, state, (*&(*result).ops), sizeof(struct dnb_op))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& zcbor_present_decode(&((*result).arena_bytes_present), (zcbor_decoder_t *)decode_repeated_dnb_fit_arena_bytes, state, (&(*result).arena_bytes))
	&& zcbor_present_decode(&((*result).flash_bytes_present), (zcbor_decoder_t *)decode_repeated_dnb_fit_flash_bytes, state, (&(*result).flash_bytes))
	&& zcbor_present_decode(&((*result).memory_bytes_present), (zcbor_decoder_t *)decode_repeated_dnb_fit_memory_bytes, state, (&(*result).memory_bytes))
	&& zcbor_present_decode(&((*result).hardware_classes_present), (zcbor_decoder_t *)decode_repeated_dnb_fit_hardware_classes, state, (&(*result).hardware_classes))
	&& zcbor_present_decode(&((*result).stores_present), (zcbor_decoder_t *)decode_repeated_dnb_fit_stores, state, (&(*result).stores))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_op(state, (*&(*result).ops));
		decode_repeated_dnb_fit_arena_bytes(state, (&(*result).arena_bytes));
		decode_repeated_dnb_fit_flash_bytes(state, (&(*result).flash_bytes));
		decode_repeated_dnb_fit_memory_bytes(state, (&(*result).memory_bytes));
		decode_repeated_dnb_fit_hardware_classes(state, (&(*result).hardware_classes));
		decode_repeated_dnb_fit_stores(state, (&(*result).stores));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_desired(
		zcbor_state_t *state, struct dnb_desired *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_bstr_decode(state, (&(*result).release)))
	&& ((((((*result).release.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint32_decode(state, (&(*result).floor)))
	&& ((((((*result).floor <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_bstr_decode(state, (&(*result).grant)))
	&& ((((*result).grant.len >= 1)
	&& ((*result).grant.len <= 512)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (decode_dnb_lease(state, (&(*result).lease))))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_bstr_decode(state, (&(*result).manifest)))
	&& ((((((*result).manifest.len == 32)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 64, &(*result).index_count, (zcbor_decoder_t *)decode_repeated_dnb_desired_index_index, state, (*&(*result).index), sizeof(struct zcbor_string))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_dnb_desired_index_index(state, (*&(*result).index));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_directive(
		zcbor_state_t *state, struct dnb_directive *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).device))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint32_decode(state, (&(*result).epoch)))
	&& ((((((*result).epoch <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint64_decode(state, (&(*result).seq)))
	&& ((((((*result).seq >= 1)
	&& ((*result).seq <= 9007199254740991ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).issued)))
	&& ((((((*result).issued <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint64_decode(state, (&(*result).expires)))
	&& ((((((*result).expires <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (zcbor_map_start_decode(state) && ((zcbor_multi_decode(0, 16, &(*result).directive_desired_count, (zcbor_decoder_t *)decode_repeated_desired_directive_desired, state, (*&(*result).directive_desired), sizeof(struct desired_directive_desired))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state)))
	&& zcbor_present_decode(&((*result).settings_present), (zcbor_decoder_t *)decode_repeated_dnb_directive_settings, state, (&(*result).settings))
	&& zcbor_present_decode(&((*result).wipe_present), (zcbor_decoder_t *)decode_repeated_dnb_directive_wipe, state, (&(*result).wipe))
	&& zcbor_present_decode(&((*result).nonce_present), (zcbor_decoder_t *)decode_repeated_dnb_directive_nonce, state, (&(*result).nonce))
	&& zcbor_present_decode(&((*result).root_present), (zcbor_decoder_t *)decode_repeated_dnb_directive_root, state, (&(*result).root))
	&& zcbor_present_decode(&((*result).trials_present), (zcbor_decoder_t *)decode_repeated_dnb_directive_trials, state, (&(*result).trials))
	&& zcbor_present_decode(&((*result).captures_present), (zcbor_decoder_t *)decode_repeated_dnb_directive_captures, state, (&(*result).captures))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_desired_directive_desired(state, (*&(*result).directive_desired));
		decode_repeated_dnb_directive_settings(state, (&(*result).settings));
		decode_repeated_dnb_directive_wipe(state, (&(*result).wipe));
		decode_repeated_dnb_directive_nonce(state, (&(*result).nonce));
		decode_repeated_dnb_directive_root(state, (&(*result).root));
		decode_repeated_dnb_directive_trials(state, (&(*result).trials));
		decode_repeated_dnb_directive_captures(state, (&(*result).captures));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_manifest(
		zcbor_state_t *state, struct dnb_manifest *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_tstr_decode(state, (&(*result).name))))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_tstr_decode(state, (&(*result).version)))
	&& ((((((*result).version.len >= 1)
	&& ((*result).version.len <= 64)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint32_decode(state, (&(*result).counter)))
	&& ((((((*result).counter <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint64_decode(state, (&(*result).created)))
	&& ((((((*result).created <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_uint64_decode(state, (&(*result).not_after)))
	&& ((((((*result).not_after <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 8, &(*result).variants_count, (zcbor_decoder_t *)decode_dnb_variant, state, (*&(*result).variants), sizeof(struct dnb_variant))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (7))))
	&& (zcbor_list_start_decode(state) && ((zcbor_multi_decode(1, 32, &(*result).payloads_count, (zcbor_decoder_t *)decode_dnb_payload, state, (*&(*result).payloads), sizeof(struct dnb_payload))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_list_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_dnb_variant(state, (*&(*result).variants));
		decode_dnb_payload(state, (*&(*result).payloads));
	}

	log_result(state, res, __func__);
	return res;
}

static bool decode_dnb_root(
		zcbor_state_t *state, struct dnb_root *result)
{
	zcbor_log("%s\r\n", __func__);

	bool res = (((zcbor_map_start_decode(state) && (((((zcbor_uint32_expect(state, (0))))
	&& (zcbor_uint32_expect(state, (1))))
	&& (((zcbor_uint32_expect(state, (1))))
	&& (zcbor_uint32_decode(state, (&(*result).version)))
	&& ((((*result).version >= 1)
	&& ((*result).version <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (2))))
	&& (zcbor_uint64_decode(state, (&(*result).issued)))
	&& ((((((*result).issued <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (3))))
	&& (zcbor_uint64_decode(state, (&(*result).not_after)))
	&& ((((((*result).not_after <= 253402300799ULL)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (4))))
	&& (zcbor_uint32_decode(state, (&(*result).epoch)))
	&& ((((((*result).epoch <= UINT32_MAX)) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false))) || (zcbor_error(state, ZCBOR_ERR_WRONG_RANGE), false)))
	&& (((zcbor_uint32_expect(state, (5))))
	&& (zcbor_map_start_decode(state) && ((zcbor_multi_decode(0, 64, &(*result).root_keys_count, (zcbor_decoder_t *)decode_repeated_keys_root_keys, state, (*&(*result).root_keys), sizeof(struct keys_root_keys))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state)))
	&& (((zcbor_uint32_expect(state, (6))))
	&& (zcbor_map_start_decode(state) && ((zcbor_multi_decode(0, 6, &(*result).root_roles_count, (zcbor_decoder_t *)decode_repeated_roles_root_roles, state, (*&(*result).root_roles), sizeof(struct roles_root_roles))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state)))) || (zcbor_list_map_end_force_decode(state), false)) && zcbor_map_end_decode(state))));

	if (false) {
		/* For testing that the types of the arguments are correct.
		 * A compiler error here means a bug in zcbor.
		 */
		decode_repeated_keys_root_keys(state, (*&(*result).root_keys));
		decode_repeated_roles_root_roles(state, (*&(*result).root_roles));
	}

	log_result(state, res, __func__);
	return res;
}



int cbor_decode_dnb_root(
		const uint8_t *payload, size_t payload_len,
		struct dnb_root *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[7];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_root, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_manifest(
		const uint8_t *payload, size_t payload_len,
		struct dnb_manifest *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[9];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_manifest, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_directive(
		const uint8_t *payload, size_t payload_len,
		struct dnb_directive *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[8];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_directive, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_desired(
		const uint8_t *payload, size_t payload_len,
		struct dnb_desired *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[5];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_desired, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_fit(
		const uint8_t *payload, size_t payload_len,
		struct dnb_fit *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[5];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_fit, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_payload(
		const uint8_t *payload, size_t payload_len,
		struct dnb_payload *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[4];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_payload, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_golden(
		const uint8_t *payload, size_t payload_len,
		struct dnb_golden *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[8];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_golden, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_settings(
		const uint8_t *payload, size_t payload_len,
		struct dnb_settings *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[3];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_settings, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_ack(
		const uint8_t *payload, size_t payload_len,
		struct dnb_ack *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[3];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_ack, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_wipe_order(
		const uint8_t *payload, size_t payload_len,
		struct dnb_wipe_order *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[4];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_wipe_order, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_enrol_reply(
		const uint8_t *payload, size_t payload_len,
		struct dnb_enrol_reply *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[4];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_enrol_reply, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_claim_token(
		const uint8_t *payload, size_t payload_len,
		struct dnb_claim_token *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[3];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_claim_token, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_reported(
		const uint8_t *payload, size_t payload_len,
		struct dnb_reported *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[8];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_reported, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_event(
		const uint8_t *payload, size_t payload_len,
		struct dnb_event *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[4];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_event, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_telemetry(
		const uint8_t *payload, size_t payload_len,
		struct dnb_telemetry *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[8];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_telemetry, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_trust(
		const uint8_t *payload, size_t payload_len,
		struct dnb_trust *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[3];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_trust, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_server_keys(
		const uint8_t *payload, size_t payload_len,
		struct dnb_server_keys *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[3];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_server_keys, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_enrol_request(
		const uint8_t *payload, size_t payload_len,
		struct dnb_enrol_request *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[8];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_enrol_request, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_renew_request(
		const uint8_t *payload, size_t payload_len,
		struct dnb_renew_request *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[3];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_renew_request, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_receipt(
		const uint8_t *payload, size_t payload_len,
		struct dnb_receipt *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[6];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_receipt, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_device_description(
		const uint8_t *payload, size_t payload_len,
		struct dnb_device_description *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[7];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_device_description, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_result(
		const uint8_t *payload, size_t payload_len,
		struct dnb_result *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[6];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_result, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_capture_order(
		const uint8_t *payload, size_t payload_len,
		struct dnb_capture_order *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[4];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_capture_order, sizeof(states) / sizeof(zcbor_state_t), 1);
}


int cbor_decode_dnb_baseline(
		const uint8_t *payload, size_t payload_len,
		struct dnb_baseline *result,
		size_t *payload_len_out)
{
	zcbor_state_t states[6];

	return zcbor_entry_function(payload, payload_len, (void *)result, payload_len_out, states,
		(zcbor_decoder_t *)decode_dnb_baseline, sizeof(states) / sizeof(zcbor_state_t), 1);
}
