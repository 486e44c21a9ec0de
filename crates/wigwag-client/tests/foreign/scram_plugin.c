/*
 * Teaches Mosquitto SCRAM-SHA-256 with GNU SASL, so that our client meets an implementation of SCRAM and
 * an MQTT server that others have written. One user: "user", with the password "pencil"; the
 * iteration count is the option `plugin_opt_iterations`.
 *
 * A fixture of the tests of wigwag-client: it takes one authentication at a time for each connection and
 * forgets it when the connection ends.
 */
#include <gsasl.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 64

static const char *iterations = "4096";
static Gsasl *sasl;

/* The authentications under way. */
static struct {
	const struct mosquitto *client;
	Gsasl_session *session;
} sessions[SESSIONS_MAX];

static int property(Gsasl *context, Gsasl_session *session, Gsasl_property wanted)
{
	const char *user;

	(void)context;
	switch (wanted) {
	case GSASL_SCRAM_ITER:
		gsasl_property_set(session, wanted, iterations);
		return GSASL_OK;
	case GSASL_PASSWORD:
		user = gsasl_property_fast(session, GSASL_AUTHID);
		if (!user || strcmp(user, "user") != 0)
			return GSASL_AUTHENTICATION_ERROR;
		gsasl_property_set(session, wanted, "pencil");
		return GSASL_OK;
	default:
		/* GNU SASL makes the salt, and offers no channel binding. */
		return GSASL_NO_CALLBACK;
	}
}

static void forget(const struct mosquitto *client)
{
	for (int i = 0; i < SESSIONS_MAX; i++) {
		if (sessions[i].client == client) {
			gsasl_finish(sessions[i].session);
			sessions[i].client = NULL;
		}
	}
}

static Gsasl_session *session_of(const struct mosquitto *client)
{
	for (int i = 0; i < SESSIONS_MAX; i++) {
		if (sessions[i].client == client)
			return sessions[i].session;
	}
	return NULL;
}

static int step(Gsasl_session *session, struct mosquitto_evt_extended_auth *event)
{
	char *out = NULL;
	size_t out_len = 0;
	int code = gsasl_step(session, event->data_in, event->data_in_len, &out, &out_len);

	if (code != GSASL_OK && code != GSASL_NEEDS_MORE) {
		mosquitto_log_printf(MOSQ_LOG_NOTICE, "SCRAM: %s", gsasl_strerror(code));
		forget(event->client);
		return MOSQ_ERR_AUTH;
	}
	event->data_out = mosquitto_malloc(out_len);
	if (!event->data_out && out_len > 0)
		return MOSQ_ERR_NOMEM;
	memcpy(event->data_out, out, out_len);
	event->data_out_len = (uint16_t)out_len;
	gsasl_free(out);
	if (code == GSASL_NEEDS_MORE)
		return MOSQ_ERR_AUTH_CONTINUE;
	forget(event->client);
	return MOSQ_ERR_SUCCESS;
}

static int on_start(int kind, void *data, void *userdata)
{
	struct mosquitto_evt_extended_auth *event = data;

	(void)kind;
	(void)userdata;
	if (strcmp(event->auth_method, "SCRAM-SHA-256") != 0)
		return MOSQ_ERR_NOT_SUPPORTED;
	forget(event->client);
	for (int i = 0; i < SESSIONS_MAX; i++) {
		if (!sessions[i].client) {
			if (gsasl_server_start(sasl, event->auth_method, &sessions[i].session) != GSASL_OK)
				return MOSQ_ERR_UNKNOWN;
			sessions[i].client = event->client;
			return step(sessions[i].session, event);
		}
	}
	return MOSQ_ERR_NOMEM;
}

static int on_continue(int kind, void *data, void *userdata)
{
	struct mosquitto_evt_extended_auth *event = data;
	Gsasl_session *session = session_of(event->client);

	(void)kind;
	(void)userdata;
	return session ? step(session, event) : MOSQ_ERR_PROTOCOL;
}

static int on_disconnect(int kind, void *data, void *userdata)
{
	struct mosquitto_evt_disconnect *event = data;

	(void)kind;
	(void)userdata;
	forget(event->client);
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_version(int count, const int *versions)
{
	for (int i = 0; i < count; i++) {
		if (versions[i] == 5)
			return 5;
	}
	return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata, struct mosquitto_opt *options, int count)
{
	(void)userdata;
	for (int i = 0; i < count; i++) {
		if (strcmp(options[i].key, "iterations") == 0)
			iterations = strdup(options[i].value);
	}
	if (gsasl_init(&sasl) != GSASL_OK)
		return MOSQ_ERR_UNKNOWN;
	gsasl_callback_set(sasl, property);
	mosquitto_callback_register(id, MOSQ_EVT_EXT_AUTH_START, on_start, NULL, NULL);
	mosquitto_callback_register(id, MOSQ_EVT_EXT_AUTH_CONTINUE, on_continue, NULL, NULL);
	mosquitto_callback_register(id, MOSQ_EVT_DISCONNECT, on_disconnect, NULL, NULL);
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count)
{
	(void)userdata;
	(void)options;
	(void)count;
	gsasl_done(sasl);
	return MOSQ_ERR_SUCCESS;
}
