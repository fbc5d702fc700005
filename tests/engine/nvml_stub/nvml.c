/* A stand-in for libnvidia-ml.so.1 that answers from a text file, read anew whenever it was replaced.

   NVML_STUB_STATE names the file. Its lines, in order:
     init CODE | count CODE             errors of nvmlInit and nvmlDeviceGetCount (0 is none)
     call CODE                          error of every call but nvmlInit and nvmlShutdown
     driver VERSION
     gpu UUID                           begins a GPU; the lines below tell of it until the next one
     mig UUID                           begins a slice of the GPU above, which puts that GPU in MIG mode
     migmode 0|1                        of a GPU, where there are no slices
     name TEXT | total B | used B | reserved B | util % | power mW | limit mW | temp C
     process PID BYTES C|G              BYTES -1 is "not available"
     error FUNCTION CODE                what FUNCTION (less its nvmlDevice prefix) gives for this device; * is all

   Built with -DOLD_DRIVER it lacks what drivers before 2022 lack. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_DEVICES 128
#define MAX_PROCESSES 32
#define MAX_ERRORS 16

typedef struct { int pid; long long bytes; char kind; } Process;
typedef struct { char function[64]; int code; } Failure;
typedef struct {
    int used_slot, parent, mig_mode, index, n_processes, n_failures;
    char uuid[96], name[96];
    unsigned long long total, used, reserved;
    unsigned util, power, limit, temp;
    Process processes[MAX_PROCESSES];
    Failure failures[MAX_ERRORS];
} Device;

static Device devices[MAX_DEVICES];
static int n_devices, n_gpus, init_code, count_code, call_code, initialised;
static char driver[96];
static struct stat seen;

static void parse(FILE *file) {
    char line[512], word[64], text[256];
    Device *d = NULL;
    int gpu = -1;
    n_devices = n_gpus = init_code = count_code = call_code = 0;
    strcpy(driver, "550.54.15");
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        text[0] = 0;
        if (sscanf(line, "%63s %255[^\n]", word, text) < 1) continue;
        if (!strcmp(word, "init")) init_code = atoi(text);
        else if (!strcmp(word, "count")) count_code = atoi(text);
        else if (!strcmp(word, "call")) call_code = atoi(text);
        else if (!strcmp(word, "driver")) snprintf(driver, sizeof driver, "%s", text);
        else if (!strcmp(word, "gpu") || !strcmp(word, "mig")) {
            d = &devices[n_devices];
            memset(d, 0, sizeof *d);
            snprintf(d->uuid, sizeof d->uuid, "%s", text);
            d->used_slot = 1;
            d->parent = -1;
            if (word[0] == 'g') { d->index = n_gpus++; gpu = n_devices; }
            else { d->parent = gpu; devices[gpu].mig_mode = 1; }
            n_devices++;
        }
        else if (!d) continue;
        else if (!strcmp(word, "migmode")) d->mig_mode = atoi(text);
        else if (!strcmp(word, "name")) snprintf(d->name, sizeof d->name, "%s", text);
        else if (!strcmp(word, "total")) d->total = strtoull(text, NULL, 10);
        else if (!strcmp(word, "used")) d->used = strtoull(text, NULL, 10);
        else if (!strcmp(word, "reserved")) d->reserved = strtoull(text, NULL, 10);
        else if (!strcmp(word, "util")) d->util = atoi(text);
        else if (!strcmp(word, "power")) d->power = atoi(text);
        else if (!strcmp(word, "limit")) d->limit = atoi(text);
        else if (!strcmp(word, "temp")) d->temp = atoi(text);
        else if (!strcmp(word, "process")) {
            Process *p = &d->processes[d->n_processes++];
            sscanf(text, "%d %lld %c", &p->pid, &p->bytes, &p->kind);
        }
        else if (!strcmp(word, "error")) {
            Failure *f = &d->failures[d->n_failures++];
            sscanf(text, "%63s %d", f->function, &f->code);
        }
    }
}

static void refresh(void) {
    struct stat now;
    const char *path = getenv("NVML_STUB_STATE");
    if (!path || stat(path, &now)) { init_code = 9; return; }
    if (now.st_ino == seen.st_ino && now.st_mtim.tv_sec == seen.st_mtim.tv_sec
        && now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec) return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    parse(file);
    fclose(file);
    seen = now;
}

static int ready(void) { refresh(); return initialised ? call_code : 1; }

/* What a call for a device gives before it does anything: 0 is "go on". */
static int check(Device *d, const char *function) {
    int code = ready();
    if (code) return code;
    if (d < devices || d >= devices + n_devices) return 2;
    for (int i = 0; i < d->n_failures; i++)
        if (!strcmp(d->failures[i].function, "*") || !strcmp(d->failures[i].function, function))
            return d->failures[i].code;
    return 0;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    memset(&seen, 0, sizeof seen);
    refresh();
    if (!init_code) initialised = 1;
    return init_code;
}
int nvmlShutdown(void) { if (!initialised) return 1; initialised = 0; return 0; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    int code = ready();
    if (!code) snprintf(out, size, "%s", driver);
    return code;
}
int nvmlDeviceGetCount_v2(unsigned *out) {
    int code = ready();
    if (!code) code = count_code;
    if (!code) *out = n_gpus;
    return code;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    int code = ready();
    if (code) return code;
    for (int i = 0; i < n_devices; i++)
        if (devices[i].parent < 0 && devices[i].index == (int)index) {
            *out = &devices[i];
            return check(*out, "GetHandleByIndex");
        }
    return 2;
}
int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) {
    int code = check(d, "GetMigMode");
    if (!code) *current = *pending = d->mig_mode;
    return code;
}
int nvmlDeviceGetMaxMigDeviceCount(Device *d, unsigned *out) {
    int code = check(d, "GetMaxMigDeviceCount");
    if (!code) *out = d->mig_mode ? 7 : 0;
    return code;
}
int nvmlDeviceGetMigDeviceHandleByIndex(Device *d, unsigned index, Device **out) {
    int code = check(d, "GetMigDeviceHandleByIndex");
    if (code) return code;
    unsigned at = 0;
    for (int i = 0; i < n_devices; i++)
        if (devices[i].parent == d - devices && at++ == index) { *out = &devices[i]; return 0; }
    return 6;
}
int nvmlDeviceGetUUID(Device *d, char *out, unsigned size) {
    int code = check(d, "GetUUID");
    if (!code) snprintf(out, size, "%s", d->uuid);
    return code;
}
int nvmlDeviceGetName(Device *d, char *out, unsigned size) {
    int code = check(d, "GetName");
    if (!code) snprintf(out, size, "%s", d->name);
    return code;
}

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory2;
typedef struct { unsigned gpu, memory; } Rates;
typedef struct { unsigned version; int sensor, temperature; } Temperature;
typedef struct { unsigned pid; unsigned long long bytes; unsigned gi, ci; } Info;

/* The old call counts what the driver keeps for itself as used. */
int nvmlDeviceGetMemoryInfo(Device *d, Memory *out) {
    int code = check(d, "GetMemoryInfo");
    if (code) return code;
    out->total = d->total;
    out->used = d->used + d->reserved;
    out->free = d->total - out->used;
    return 0;
}
int nvmlDeviceGetUtilizationRates(Device *d, Rates *out) {
    int code = check(d, "GetUtilizationRates");
    if (!code && d->parent >= 0) code = 3;
    if (!code) { out->gpu = d->util; out->memory = 0; }
    return code;
}
int nvmlDeviceGetPowerUsage(Device *d, unsigned *out) {
    int code = check(d, "GetPowerUsage");
    if (!code && d->parent >= 0) code = 3;
    if (!code) *out = d->power;
    return code;
}
int nvmlDeviceGetEnforcedPowerLimit(Device *d, unsigned *out) {
    int code = check(d, "GetEnforcedPowerLimit");
    if (!code && d->parent >= 0) code = 3;
    if (!code) *out = d->limit;
    return code;
}
int nvmlDeviceGetTemperature(Device *d, int sensor, unsigned *out) {
    (void)sensor;
    int code = check(d, "GetTemperature");
    if (!code && d->parent >= 0) code = 2;
    if (!code) *out = d->temp;
    return code;
}

static int list(Device *d, char kind, unsigned *count, Info *out, const char *function) {
    int code = check(d, function);
    if (code) return code;
    if (kind == 'G' && d->parent >= 0) return 3;
    unsigned n = 0, room = *count;
    for (int i = 0; i < d->n_processes; i++) {
        Process *p = &d->processes[i];
        if (p->kind != kind) continue;
        if (n < room && out) out[n] = (Info){p->pid, (unsigned long long)p->bytes, ~0u, ~0u};
        n++;
    }
    *count = n;
    return n > room ? 7 : 0;
}
int nvmlDeviceGetComputeRunningProcesses_v2(Device *d, unsigned *n, Info *out) {
    return list(d, 'C', n, out, "GetComputeRunningProcesses");
}
int nvmlDeviceGetGraphicsRunningProcesses_v2(Device *d, unsigned *n, Info *out) {
    return list(d, 'G', n, out, "GetGraphicsRunningProcesses");
}

#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(Device *d, Memory2 *out) {
    int code = check(d, "GetMemoryInfo");
    if (code) return code;
    out->total = d->total;
    out->reserved = d->reserved;
    out->used = d->used;
    out->free = d->total - d->used - d->reserved;
    return 0;
}
int nvmlDeviceGetTemperatureV(Device *d, Temperature *out) {
    unsigned temp = 0;
    int code = nvmlDeviceGetTemperature(d, 0, &temp);
    out->temperature = (int)temp;
    return code;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, unsigned *n, Info *out) {
    return nvmlDeviceGetComputeRunningProcesses_v2(d, n, out);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(Device *d, unsigned *n, Info *out) {
    return nvmlDeviceGetGraphicsRunningProcesses_v2(d, n, out);
}
#endif
