/*
 * Generated from contract/dunlin.cddl by tools/generate-decoders: do not edit.
 *
 * Generated using zcbor version 0.9.1
 * https://github.com/NordicSemiconductor/zcbor
 * Generated with a --default-max-qty of 3
 */

#ifndef ALL_RECORDS_TYPES_H__
#define ALL_RECORDS_TYPES_H__

#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>
#include <zcbor_common.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which value for --default-max-qty this file was created with.
 *
 *  The define is used in the other generated file to do a build-time
 *  compatibility check.
 *
 *  See `zcbor --help` for more information about --default-max-qty
 */
#define DEFAULT_MAX_QTY 3

struct dnb_settings_report_interval_s {
	uint32_t report_interval_s;
};

struct dnb_settings_report_jitter_s {
	uint32_t report_jitter_s;
};

struct dnb_settings_window {
	uint32_t window;
};

struct dnb_settings_object_timeout_s {
	uint32_t object_timeout_s;
};

struct dnb_settings_probation_s {
	uint32_t probation_s;
};

struct dnb_settings_probation_requests {
	uint32_t probation_requests;
};

struct dnb_settings_probation_max_s {
	uint32_t probation_max_s;
};

struct dnb_settings_telemetry_interval_s {
	uint32_t telemetry_interval_s;
};

struct dnb_settings {
	struct dnb_settings_report_interval_s report_interval_s;
	bool report_interval_s_present;
	struct dnb_settings_report_jitter_s report_jitter_s;
	bool report_jitter_s_present;
	struct dnb_settings_window window;
	bool window_present;
	struct dnb_settings_object_timeout_s object_timeout_s;
	bool object_timeout_s_present;
	struct dnb_settings_probation_s probation_s;
	bool probation_s_present;
	struct dnb_settings_probation_requests probation_requests;
	bool probation_requests_present;
	struct dnb_settings_probation_max_s probation_max_s;
	bool probation_max_s_present;
	struct dnb_settings_telemetry_interval_s telemetry_interval_s;
	bool telemetry_interval_s_present;
};

struct dnb_lease {
	uint32_t seconds;
	enum {
		dnb_lease_action_warn_tstr_c,
		dnb_lease_action_stop_tstr_c,
	} action_choice;
};

struct dnb_desired {
	struct zcbor_string release;
	uint32_t floor;
	struct zcbor_string grant;
	struct dnb_lease lease;
	struct zcbor_string manifest;
	struct zcbor_string index[64];
	size_t index_count;
};

struct dnb_payload_delta_base {
	struct zcbor_string delta_base;
};

struct dnb_payload {
	struct zcbor_string id;
	enum {
		dnb_payload_role_model_tstr_c,
		dnb_payload_role_labels_tstr_c,
		dnb_payload_role_golden_tstr_c,
		dnb_payload_role_baseline_tstr_c,
		dnb_payload_role_report_tstr_c,
		dnb_payload_role_provenance_tstr_c,
	} role_choice;
	enum {
		dnb_payload_format_tflite_tstr_c,
		dnb_payload_format_onnx_tstr_c,
		dnb_payload_format_tflm_tstr_c,
		dnb_payload_format_cbor_tstr_c,
		dnb_payload_format_text_tstr_c,
	} format_choice;
	enum {
		dnb_payload_compression_uint0_c = 0,
		dnb_payload_compression_uint1_c = 1,
	} compression_choice;
	struct dnb_payload_delta_base delta_base;
	bool delta_base_present;
	uint64_t installed_length;
	struct zcbor_string installed_sha256;
	uint64_t plaintext_length;
	uint64_t ciphertext_length;
	uint32_t chunk_log2;
	uint32_t chunk_count;
	struct zcbor_string merkle_root;
};

struct dnb_enrol_reply_chain_r {
	struct zcbor_string chain[4];
	size_t chain_count;
};

struct dnb_enrol_reply_broker_host {
	struct zcbor_string broker_host;
};

struct dnb_enrol_reply_broker_port {
	uint32_t broker_port;
};

struct dnb_enrol_reply_poll_s {
	uint32_t poll_s;
};

struct dnb_enrol_reply_root {
	struct zcbor_string root;
};

struct dnb_enrol_reply_reason {
	struct zcbor_string reason;
};

struct dnb_enrol_reply {
	enum {
		dnb_enrol_reply_status_issued_tstr_c,
		dnb_enrol_reply_status_pending_tstr_c,
		dnb_enrol_reply_status_refused_tstr_c,
	} status_choice;
	struct dnb_enrol_reply_chain_r chain;
	bool chain_present;
	struct dnb_enrol_reply_broker_host broker_host;
	bool broker_host_present;
	struct dnb_enrol_reply_broker_port broker_port;
	bool broker_port_present;
	struct dnb_enrol_reply_poll_s poll_s;
	bool poll_s_present;
	struct dnb_enrol_reply_root root;
	bool root_present;
	struct dnb_enrol_reply_reason reason;
	bool reason_present;
};

struct dnb_claim_token {
	struct zcbor_string url;
	struct zcbor_string root_digest;
	struct zcbor_string token_id;
	struct zcbor_string secret;
	uint64_t expires;
};

struct dn_event_kind_r {
	enum {
		dn_event_kind_boot_tstr_c,
		dn_event_kind_update_planned_tstr_c,
		dn_event_kind_update_refused_tstr_c,
		dn_event_kind_update_probation_tstr_c,
		dn_event_kind_update_committed_tstr_c,
		dn_event_kind_update_rolled_back_tstr_c,
		dn_event_kind_model_removed_tstr_c,
		dn_event_kind_worker_crashed_tstr_c,
		dn_event_kind_object_corrupt_tstr_c,
		dn_event_kind_directive_refused_tstr_c,
		dn_event_kind_lease_expired_tstr_c,
		dn_event_kind_wiped_tstr_c,
		dn_event_kind_wipe_refused_tstr_c,
		dn_event_kind_root_changed_tstr_c,
		dn_event_kind_device_fault_tstr_c,
		dn_event_kind_note_tstr_c,
	} dn_event_kind_choice;
};

struct dnb_event_model {
	struct zcbor_string model;
};

struct dnb_event_release {
	struct zcbor_string release;
};

struct dnb_event_code {
	struct zcbor_string code;
};

struct dnb_event_text {
	struct zcbor_string text;
};

struct dnb_event_receipt {
	struct zcbor_string receipt;
};

struct dnb_event {
	struct zcbor_string stream;
	uint64_t n;
	struct dn_event_kind_r kind;
	uint64_t time_s;
	uint64_t uptime_s;
	struct dnb_event_model model;
	bool model_present;
	struct dnb_event_release release;
	bool release_present;
	struct dnb_event_code code;
	bool code_present;
	struct dnb_event_text text;
	bool text_present;
	struct dnb_event_receipt receipt;
	bool receipt_present;
};

struct dnb_trust {
	struct zcbor_string root;
	struct zcbor_string ca;
};

struct dnb_server_keys {
	struct zcbor_string director;
	struct zcbor_string vault;
	struct zcbor_string ca;
};

struct keys_root_keys {
	struct zcbor_string root_keys_key;
	struct zcbor_string root_keys;
};

struct dn_role_name_r {
	enum {
		dn_role_name_root_tstr_c,
		dn_role_name_release_tstr_c,
		dn_role_name_director_tstr_c,
		dn_role_name_ops_tstr_c,
		dn_role_name_ca_tstr_c,
		dn_role_name_vault_tstr_c,
	} dn_role_name_choice;
};

struct dnb_role_keys {
	uint32_t threshold;
	struct zcbor_string kids[16];
	size_t kids_count;
};

struct roles_root_roles {
	struct dn_role_name_r root_roles_key;
	struct dnb_role_keys root_roles;
};

struct dnb_root {
	uint32_t version;
	uint64_t issued;
	uint64_t not_after;
	uint32_t epoch;
	struct keys_root_keys root_keys[64];
	size_t root_keys_count;
	struct roles_root_roles root_roles[6];
	size_t root_roles_count;
};

struct dn_runtime_name_r {
	enum {
		dn_runtime_name_litert_tstr_c,
		dn_runtime_name_onnxruntime_tstr_c,
		dn_runtime_name_tensorrt_tstr_c,
		dn_runtime_name_tflm_tstr_c,
	} dn_runtime_name_choice;
};

struct dn_version3 {
	uint32_t dn_u32_m[3];
	size_t dn_u32_m_count;
};

struct dnb_op {
	struct zcbor_string opcode;
	uint32_t version;
};

struct dnb_fit_arena_bytes {
	uint64_t arena_bytes;
};

struct dnb_fit_flash_bytes {
	uint64_t flash_bytes;
};

struct dnb_fit_memory_bytes {
	uint64_t memory_bytes;
};

struct dnb_fit_hardware_classes_r {
	struct zcbor_string hardware_classes[32];
	size_t hardware_classes_count;
};

struct dn_model_store_r {
	enum {
		dn_model_store_locked_tstr_c,
		dn_model_store_no_swap_tstr_c,
		dn_model_store_plain_flash_tstr_c,
		dn_model_store_swappable_tstr_c,
	} dn_model_store_choice;
};

struct dnb_fit_stores_r {
	struct dn_model_store_r stores[4];
	size_t stores_count;
};

struct dnb_fit {
	struct dn_runtime_name_r runtime;
	struct dn_version3 min_version;
	struct dnb_op ops[256];
	size_t ops_count;
	struct dnb_fit_arena_bytes arena_bytes;
	bool arena_bytes_present;
	struct dnb_fit_flash_bytes flash_bytes;
	bool flash_bytes_present;
	struct dnb_fit_memory_bytes memory_bytes;
	bool memory_bytes_present;
	struct dnb_fit_hardware_classes_r hardware_classes;
	bool hardware_classes_present;
	struct dnb_fit_stores_r stores;
	bool stores_present;
};

struct dnb_ack {
	struct zcbor_string device;
	struct zcbor_string stream;
	uint64_t n;
};

struct dnb_wipe_order_models_r {
	struct zcbor_string models[16];
	size_t models_count;
};

struct dnb_wipe_order_reason {
	struct zcbor_string reason;
};

struct dnb_wipe_order {
	struct zcbor_string device;
	struct zcbor_string order_id;
	struct dnb_wipe_order_models_r models;
	bool models_present;
	uint64_t issued;
	struct dnb_wipe_order_reason reason;
	bool reason_present;
};

struct dnb_renew_request {
	struct zcbor_string device;
	struct zcbor_string spki;
};

struct dnb_erased_storage_key {
	struct zcbor_string storage_key;
};

struct dnb_erased {
	struct zcbor_string model;
	struct zcbor_string releases[4];
	size_t releases_count;
	struct dnb_erased_storage_key storage_key;
	bool storage_key_present;
};

struct dnb_receipt {
	struct zcbor_string device;
	struct zcbor_string order_digest;
	struct dnb_erased erased[16];
	size_t erased_count;
	struct zcbor_string method;
	enum {
		dnb_receipt_assurance_clear_tstr_c,
		dnb_receipt_assurance_purge_tstr_c,
	} assurance_choice;
	bool canary_unreadable;
	uint64_t files;
	uint64_t bytes_erased;
	uint64_t time_s;
	struct zcbor_string kem;
};

struct dnb_result_model {
	struct zcbor_string model;
};

struct dnb_result_release {
	struct zcbor_string release;
};

struct dnb_result_source {
	struct zcbor_string source;
};

struct dnb_result_reason {
	struct zcbor_string reason;
};

struct dn_dtype_r {
	enum {
		dn_dtype_bool_tstr_c,
		dn_dtype_int8_tstr_c,
		dn_dtype_uint8_tstr_c,
		dn_dtype_int16_tstr_c,
		dn_dtype_uint16_tstr_c,
		dn_dtype_int32_tstr_c,
		dn_dtype_uint32_tstr_c,
		dn_dtype_int64_tstr_c,
		dn_dtype_uint64_tstr_c,
		dn_dtype_float16_tstr_c,
		dn_dtype_float32_tstr_c,
		dn_dtype_float64_tstr_c,
	} dn_dtype_choice;
};

struct dnb_tensor_data {
	struct zcbor_string name;
	struct dn_dtype_r dtype;
	uint32_t shape[8];
	size_t shape_count;
	struct zcbor_string data;
};

struct dnb_result_inputs_r {
	struct dnb_tensor_data inputs[32];
	size_t inputs_count;
};

struct dnb_result_outputs_r {
	struct dnb_tensor_data outputs[32];
	size_t outputs_count;
};

struct dnb_result_first {
	uint64_t first;
};

struct dnb_result {
	struct zcbor_string stream;
	uint64_t n;
	uint64_t time_s;
	uint64_t uptime_s;
	enum {
		dnb_result_kind_result_tstr_c,
		dnb_result_kind_capture_tstr_c,
		dnb_result_kind_gap_tstr_c,
	} kind_choice;
	struct dnb_result_model model;
	bool model_present;
	struct dnb_result_release release;
	bool release_present;
	struct dnb_result_source source;
	bool source_present;
	struct dnb_result_reason reason;
	bool reason_present;
	struct dnb_result_inputs_r inputs;
	bool inputs_present;
	struct dnb_result_outputs_r outputs;
	bool outputs_present;
	struct dnb_result_first first;
	bool first_present;
};

struct dnb_capture_order_random_permille {
	uint32_t random_permille;
};

struct dnb_capture_order_margin_permille {
	uint32_t margin_permille;
};

struct dnb_capture_order_classes_r {
	uint32_t classes[32];
	size_t classes_count;
};

struct dnb_capture_order {
	struct zcbor_string device;
	struct zcbor_string order_id;
	struct zcbor_string model;
	uint64_t issued;
	uint64_t not_after;
	uint32_t per_day;
	struct dnb_capture_order_random_permille random_permille;
	bool random_permille_present;
	struct dnb_capture_order_margin_permille margin_permille;
	bool margin_permille_present;
	bool disagreement_present;
	struct dnb_capture_order_classes_r classes;
	bool classes_present;
};

struct dnb_feature {
	enum {
		dnb_feature_side_input_tstr_c,
		dnb_feature_side_output_tstr_c,
	} side_choice;
	struct zcbor_string tensor;
	enum {
		dnb_feature_what_mean_tstr_c,
		dnb_feature_what_deviation_tstr_c,
		dnb_feature_what_value_tstr_c,
		dnb_feature_what_class_tstr_c,
		dnb_feature_what_confidence_tstr_c,
	} what_choice;
	double edges[31];
	size_t edges_count;
	uint32_t expected[32];
	size_t expected_count;
};

struct dnb_baseline {
	struct dnb_feature features[16];
	size_t features_count;
};

struct desired_directive_desired {
	struct zcbor_string directive_desired_key;
	struct dnb_desired directive_desired;
};

struct dnb_directive_settings {
	struct zcbor_string settings;
};

struct dnb_directive_wipe {
	struct zcbor_string wipe;
};

struct dnb_directive_nonce {
	struct zcbor_string nonce;
};

struct dnb_directive_root {
	struct zcbor_string root;
};

struct dnb_trial_share {
	uint32_t share;
};

struct dnb_trial {
	struct dnb_desired candidate;
	enum {
		dnb_trial_mode_shadow_tstr_c,
		dnb_trial_mode_split_tstr_c,
		dnb_trial_mode_standby_tstr_c,
	} mode_choice;
	struct dnb_trial_share share;
	bool share_present;
};

struct trials_directive_trials {
	struct zcbor_string directive_trials_key;
	struct dnb_trial directive_trials;
};

struct dnb_directive_trials_r {
	struct trials_directive_trials directive_trials[16];
	size_t directive_trials_count;
};

struct captures_directive_captures {
	struct zcbor_string directive_captures_key;
	struct zcbor_string directive_captures;
};

struct dnb_directive_captures_r {
	struct captures_directive_captures directive_captures[16];
	size_t directive_captures_count;
};

struct dnb_directive {
	struct zcbor_string device;
	uint32_t epoch;
	uint64_t seq;
	uint64_t issued;
	uint64_t expires;
	struct desired_directive_desired directive_desired[16];
	size_t directive_desired_count;
	struct dnb_directive_settings settings;
	bool settings_present;
	struct dnb_directive_wipe wipe;
	bool wipe_present;
	struct dnb_directive_nonce nonce;
	bool nonce_present;
	struct dnb_directive_root root;
	bool root_present;
	struct dnb_directive_trials_r trials;
	bool trials_present;
	struct dnb_directive_captures_r captures;
	bool captures_present;
};

struct dnb_sample {
	struct dnb_tensor_data inputs[32];
	size_t inputs_count;
	struct dnb_tensor_data outputs[32];
	size_t outputs_count;
};

struct dnb_golden {
	struct dnb_sample samples[256];
	size_t samples_count;
};

struct dnb_device_description_flash_bytes {
	uint64_t flash_bytes;
};

struct dnb_device_description_arena_bytes {
	uint64_t arena_bytes;
};

struct dnb_runtime_info_ops_r {
	struct dnb_op ops[256];
	size_t ops_count;
};

struct dnb_runtime_info {
	struct dn_runtime_name_r name;
	struct dn_version3 version;
	struct dnb_runtime_info_ops_r ops;
	bool ops_present;
};

struct dnb_tier {
	enum {
		dnb_tier_keystore_file_tstr_c,
		dnb_tier_keystore_tpm2_tstr_c,
		dnb_tier_keystore_pkcs11_tstr_c,
		dnb_tier_keystore_systemd_creds_tstr_c,
		dnb_tier_keystore_flash_tstr_c,
	} keystore_choice;
	struct dn_model_store_r model_store;
};

struct dnb_device_description {
	struct zcbor_string hardware_class;
	struct zcbor_string arch;
	uint64_t memory_bytes;
	struct dnb_device_description_flash_bytes flash_bytes;
	bool flash_bytes_present;
	struct dnb_device_description_arena_bytes arena_bytes;
	bool arena_bytes_present;
	struct dnb_runtime_info runtimes[8];
	size_t runtimes_count;
	struct dnb_tier tier;
};

struct dnb_reported_missing_r {
	struct zcbor_string missing[64];
	size_t missing_count;
};

struct dn_phase_r {
	enum {
		dn_phase_idle_tstr_c,
		dn_phase_planned_tstr_c,
		dn_phase_downloading_tstr_c,
		dn_phase_verified_tstr_c,
		dn_phase_staged_tstr_c,
		dn_phase_loaded_tstr_c,
		dn_phase_testing_tstr_c,
		dn_phase_trial_tstr_c,
		dn_phase_probation_tstr_c,
		dn_phase_committed_tstr_c,
		dn_phase_rolled_back_tstr_c,
		dn_phase_refused_tstr_c,
	} dn_phase_choice;
};

struct dnb_model_state_active {
	struct zcbor_string active;
};

struct dnb_model_state_previous {
	struct zcbor_string previous;
};

struct dnb_model_state_candidate {
	struct zcbor_string candidate;
};

struct dnb_model_state_error_code {
	struct zcbor_string error_code;
};

struct dnb_model_state_error_text {
	struct zcbor_string error_text;
};

struct dnb_model_state_variant {
	struct zcbor_string variant;
};

struct dnb_model_state_served {
	uint64_t served;
};

struct dnb_model_state_chunks_have {
	uint64_t chunks_have;
};

struct dnb_model_state_chunks_need {
	uint64_t chunks_need;
};

struct dnb_rejected {
	struct zcbor_string kind;
	struct zcbor_string reasons[16];
	size_t reasons_count;
};

struct dnb_model_state_rejected_r {
	struct dnb_rejected rejected[8];
	size_t rejected_count;
};

struct dnb_model_state {
	struct dn_phase_r phase;
	struct dnb_model_state_active active;
	bool active_present;
	struct dnb_model_state_previous previous;
	bool previous_present;
	struct dnb_model_state_candidate candidate;
	bool candidate_present;
	struct dnb_model_state_error_code error_code;
	bool error_code_present;
	struct dnb_model_state_error_text error_text;
	bool error_text_present;
	struct dnb_model_state_variant variant;
	bool variant_present;
	struct dnb_model_state_served served;
	bool served_present;
	struct dnb_model_state_chunks_have chunks_have;
	bool chunks_have_present;
	struct dnb_model_state_chunks_need chunks_need;
	bool chunks_need_present;
	struct dnb_model_state_rejected_r rejected;
	bool rejected_present;
};

struct models_reported_models {
	struct zcbor_string reported_models_key;
	struct dnb_model_state reported_models;
};

struct dnb_reported_number {
	uint64_t number;
};

struct dnb_reported_temperature_dc {
	int32_t temperature_dc;
};

struct dnb_reported {
	uint32_t epoch;
	uint64_t seq;
	struct zcbor_string boot_nonce;
	struct dnb_reported_missing_r missing;
	bool missing_present;
	struct models_reported_models reported_models[16];
	size_t reported_models_count;
	struct dnb_device_description device;
	struct dnb_reported_number number;
	bool number_present;
	uint64_t uptime_s;
	uint64_t time_s;
	struct zcbor_string agent_version;
	struct dnb_reported_temperature_dc temperature_dc;
	bool temperature_dc_present;
	uint32_t root_version;
};

struct dn_sketch_dn_bucket {
	uint32_t dn_bucket_key;
	uint64_t dn_bucket;
};

struct dn_sketch {
	struct dn_sketch_dn_bucket dn_bucket[512];
	size_t dn_bucket_count;
};

struct dnb_comparison {
	struct zcbor_string candidate;
	enum {
		dnb_comparison_mode_shadow_tstr_c,
		dnb_comparison_mode_split_tstr_c,
	} mode_choice;
	uint64_t pairs;
	uint64_t agreed;
	uint64_t errors;
	uint64_t shed;
	struct dn_sketch latency_us;
	struct dn_sketch distance;
	uint64_t memory_bytes;
};

struct dnb_model_telemetry_comparison {
	struct dnb_comparison comparison;
};

struct dnb_drift_counts {
	struct zcbor_string feature;
	uint64_t counts[32];
	size_t counts_count;
	uint32_t expected[32];
	size_t expected_count;
};

struct dnb_model_telemetry_drift_r {
	struct dnb_drift_counts drift[16];
	size_t drift_count;
};

struct dnb_model_telemetry_confidence_r {
	uint64_t confidence[20];
	size_t confidence_count;
};

struct dnb_model_telemetry {
	struct zcbor_string release;
	uint64_t count;
	uint64_t errors;
	struct dn_sketch latency_us;
	struct dnb_model_telemetry_comparison comparison;
	bool comparison_present;
	struct dnb_model_telemetry_drift_r drift;
	bool drift_present;
	struct dnb_model_telemetry_confidence_r confidence;
	bool confidence_present;
};

struct models_telemetry_models {
	struct zcbor_string telemetry_models_key;
	struct dnb_model_telemetry telemetry_models;
};

struct dnb_hardware_temperature_dc {
	int32_t temperature_dc;
};

struct dnb_hardware_throttled {
	uint32_t throttled;
};

struct dnb_hardware_power_mw {
	uint32_t power_mw;
};

struct dnb_hardware_gpu_permille {
	uint32_t gpu_permille;
};

struct dnb_hardware_power_mode {
	struct zcbor_string power_mode;
};

struct dnb_hardware_policy_r {
	enum {
		dnb_hardware_policy_reduced_tstr_c,
		dnb_hardware_policy_paused_tstr_c,
	} policy_choice;
};

struct dnb_hardware {
	struct dnb_hardware_temperature_dc temperature_dc;
	bool temperature_dc_present;
	struct dnb_hardware_throttled throttled;
	bool throttled_present;
	struct dnb_hardware_power_mw power_mw;
	bool power_mw_present;
	struct dnb_hardware_gpu_permille gpu_permille;
	bool gpu_permille_present;
	struct dnb_hardware_power_mode power_mode;
	bool power_mode_present;
	struct dnb_hardware_policy_r policy;
	bool policy_present;
};

struct dnb_telemetry_hardware {
	struct dnb_hardware hardware;
};

struct dnb_telemetry {
	struct models_telemetry_models telemetry_models[16];
	size_t telemetry_models_count;
	uint64_t memory_bytes;
	uint32_t load_permille;
	struct dnb_telemetry_hardware hardware;
	bool hardware_present;
};

struct dnb_enrol_request {
	struct zcbor_string device;
	struct zcbor_string token_id;
	struct zcbor_string secret;
	struct zcbor_string spki;
	struct zcbor_string kem;
	struct dnb_device_description description;
};

struct dnb_quantization {
	double scale;
	int32_t zero_point;
};

struct dnb_tensor_quantization {
	struct dnb_quantization quantization;
};

struct dnb_tensor {
	struct zcbor_string name;
	struct dn_dtype_r dtype;
	int32_t shape[8];
	size_t shape_count;
	struct dnb_tensor_quantization quantization;
	bool quantization_present;
};

struct dnb_preprocess {
	uint32_t height;
	uint32_t width;
	enum {
		dnb_preprocess_layout_NHWC_tstr_c,
		dnb_preprocess_layout_NCHW_tstr_c,
	} layout_choice;
	enum {
		dnb_preprocess_color_rgb_tstr_c,
		dnb_preprocess_color_grey_tstr_c,
	} color_choice;
	double mean[4];
	size_t mean_count;
	double std[4];
	size_t std_count;
};

struct dnb_io_preprocess {
	struct dnb_preprocess preprocess;
};

struct dnb_postprocess_labels {
	uint32_t labels;
};

struct dnb_postprocess {
	bool softmax;
	uint32_t top_k;
	struct dnb_postprocess_labels labels;
	bool labels_present;
};

struct dnb_io_postprocess {
	struct dnb_postprocess postprocess;
};

struct dnb_io {
	struct dnb_tensor inputs[32];
	size_t inputs_count;
	struct dnb_tensor outputs[32];
	size_t outputs_count;
	struct dnb_io_preprocess preprocess;
	bool preprocess_present;
	struct dnb_io_postprocess postprocess;
	bool postprocess_present;
};

struct dnb_budget_memory_bytes {
	uint64_t memory_bytes;
};

struct dnb_budget_measured_on {
	struct zcbor_string measured_on;
};

struct dnb_budget {
	uint32_t p95_us;
	struct dnb_budget_memory_bytes memory_bytes;
	bool memory_bytes_present;
	struct dnb_budget_measured_on measured_on;
	bool measured_on_present;
};

struct dnb_golden_check {
	uint32_t payload;
	double tolerance;
	uint32_t top1_permille;
};

struct dnb_variant {
	struct zcbor_string kind;
	struct dnb_fit fit;
	struct dnb_io io;
	uint32_t payloads[16];
	size_t payloads_count;
	struct dnb_budget budget;
	struct dnb_golden_check golden;
};

struct dnb_manifest {
	struct zcbor_string name;
	struct zcbor_string version;
	uint32_t counter;
	uint64_t created;
	uint64_t not_after;
	struct dnb_variant variants[8];
	size_t variants_count;
	struct dnb_payload payloads[32];
	size_t payloads_count;
};

#ifdef __cplusplus
}
#endif

#endif /* ALL_RECORDS_TYPES_H__ */
