/* A notifier that prints each event as one line on a serial printer, as the
 * alarm printers of control rooms do:
 *
 *   2026-11-21 17:37:52 ALARM battery: module of block 17 does not answer
 *
 * Written against the WIT alone (wit/since-0.2/notifier): `wit-bindgen c` makes
 * notifier.h and notifier.c, and this file has the functions that they call.
 */
#include "notifier.h"
#include "string.h"

#define COLUMNS_MAX 132
#define SEND_MS 5000
#define WAKE_MS 60000

static uint32_t columns = 80;
static bool is_open;
static evenkeel_serial_serial_own_port_t printer;

/* A line under construction; what does not fit is left out. */
typedef struct {
    uint8_t bytes[COLUMNS_MAX + 2];
    size_t len;
} line_t;

static void put(line_t *line, uint8_t byte)
{
    if (line->len < columns)
        line->bytes[line->len++] = byte;
}

static void put_text(line_t *line, const char *text)
{
    while (*text != '\0')
        put(line, (uint8_t)*text++);
}

/* Texts are UTF-8 and may hold anything. The printer knows ASCII: every other
 * character becomes one '?', and control characters, which could move the
 * paper or begin another line, too. */
static void put_shown(line_t *line, const notifier_string_t *text)
{
    for (size_t i = 0; i < text->len; i++) {
        uint8_t byte = text->ptr[i];
        if ((byte & 0xC0) == 0x80)
            continue; /* goes on with a character that was shown */
        put(line, byte >= 0x20 && byte < 0x7F ? byte : '?');
    }
}

static void put_digits(line_t *line, uint64_t number, unsigned digits)
{
    uint64_t unit = 1;
    while (--digits > 0)
        unit *= 10;
    for (; unit > 0; unit /= 10)
        put(line, (uint8_t)('0' + number / unit % 10));
}

/* `2026-11-21 17:37:52` in UTC. Days are counted in eras of 400 years and
 * years that begin in March, so that the leap day is the last of its year. */
static void put_time(line_t *line, uint64_t utc_ms)
{
    uint64_t s = utc_ms / 1000, days = s / 86400 + 719468;
    uint64_t era = days / 146097, day = days % 146097;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint64_t of_year = day - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153;
    day = of_year - (153 * month + 2) / 5 + 1;
    year += era * 400 + (month >= 10);
    month = month < 10 ? month + 3 : month - 9;
    put_digits(line, year, 4);
    put(line, '-');
    put_digits(line, month, 2);
    put(line, '-');
    put_digits(line, day, 2);
    put(line, ' ');
    put_digits(line, s / 3600 % 24, 2);
    put(line, ':');
    put_digits(line, s / 60 % 60, 2);
    put(line, ':');
    put_digits(line, s % 60, 2);
}

static const char *severity_word(uint32_t severity)
{
    switch (severity) {
    case 0: return "info";
    case 1: return "WARNING";
    default: return "ALARM";
    }
}

/* Open the printer's line unless it is. On failure `error` is the host's. */
static bool ready(evenkeel_serial_serial_error_t *error)
{
    if (is_open)
        return true;
    notifier_string_t name;
    notifier_string_set(&name, "printer");
    evenkeel_serial_serial_line_t line = {
        .baud = 9600,
        .data_bits = 8,
        .parity = EVENKEEL_SERIAL_SERIAL_PARITY_NONE,
        .stop_bits = EVENKEEL_SERIAL_SERIAL_STOP_BITS_ONE,
        .dtr = true,
        .rts = true,
    };
    is_open = evenkeel_serial_serial_static_port_open(&name, &line, &printer, error);
    return is_open;
}

static bool print(const line_t *line, evenkeel_serial_serial_error_t *error)
{
    if (!ready(error))
        return false;
    notifier_list_u8_t bytes = {.ptr = (uint8_t *)line->bytes, .len = line->len};
    evenkeel_serial_serial_borrow_port_t port = evenkeel_serial_serial_borrow_port(printer);
    return evenkeel_serial_serial_method_port_send(port, &bytes, SEND_MS, error);
}

/* evenkeel:plugin/life */

bool exports_evenkeel_plugin_life_start(notifier_list_u8_t *previous, notifier_string_t *refusal)
{
    (void)refusal; /* there is nothing to refuse: the host has checked the settings */
    if (previous != NULL)
        notifier_list_u8_free(previous);
    notifier_string_t name;
    notifier_string_set(&name, "columns");
    evenkeel_config_config_value_t value;
    if (evenkeel_config_config_get(&name, &value)) {
        if (value.tag == EVENKEEL_CONFIG_CONFIG_VALUE_NUMBER && value.val.number >= 1 &&
            value.val.number <= COLUMNS_MAX)
            columns = (uint32_t)value.val.number;
        evenkeel_config_config_value_free(&value);
    }
    return true;
}

uint32_t exports_evenkeel_plugin_life_wake(void)
{
    return WAKE_MS;
}

void exports_evenkeel_plugin_life_save(notifier_list_u8_t *state)
{
    state->ptr = NULL;
    state->len = 0;
}

/* evenkeel:notifier/sink */

bool exports_evenkeel_notifier_sink_notify(exports_evenkeel_notifier_sink_event_t *event,
                                           exports_evenkeel_notifier_sink_error_t *error)
{
    line_t line = {.len = 0};
    put_time(&line, event->utc_ms);
    put(&line, ' ');
    put_text(&line, severity_word(event->severity));
    put(&line, ' ');
    put_shown(&line, &event->category);
    put_text(&line, ": ");
    put_shown(&line, &event->text);
    line.bytes[line.len++] = '\r';
    line.bytes[line.len++] = '\n';
    exports_evenkeel_notifier_sink_event_free(event);

    evenkeel_serial_serial_error_t failed;
    if (print(&line, &failed))
        return true;
    /* Paper may be out, or the cable: the host keeps the event and tries again. */
    error->retry = true;
    notifier_string_dup_n(&error->detail, (const char *)failed.detail.ptr, failed.detail.len);
    evenkeel_serial_serial_error_free(&failed);
    return false;
}
