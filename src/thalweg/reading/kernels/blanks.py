"""Runs of blanks and tabs between cells as one blank; those at the ends of a line as none. Quoted ones stay."""

from ...engines.cpu.job import Job

# returns: carriage returns alone end lines. The rest is where a piece of text left off.
JOB = Job("text", "size", "out", "returns", "quoted", "closed", "blank", "start", "count")
SQUEEZE = """
def kernel(job):
    p = octets(job[TEXT])
    o = octets(job[OUT])
    quoted = job[QUOTED]
    closed = job[CLOSED]
    blank = job[BLANK]
    start = job[START]
    n = 0
    for i in range(job[SIZE]):
        c = p[i]
        if c == 10 or (c == 13 and job[RETURNS] != 0):
            o[n] = 10
            n += 1
            quoted = 0
            closed = 0
            blank = 0
            start = 1
        elif quoted != 0:
            o[n] = c
            n += 1
            if c == 34:
                quoted = 0
                closed = 1
        elif c == 32 or c == 9 or c == 13:
            blank = 1 - start
            closed = 0
        else:
            if blank != 0:
                o[n] = 32
                n += 1
            if c == 34 and (start != 0 or blank != 0 or closed != 0):
                quoted = 1
            o[n] = c
            n += 1
            closed = 0
            blank = 0
            start = 0
    job[QUOTED] = quoted
    job[CLOSED] = closed
    job[BLANK] = blank
    job[START] = start
    job[COUNT] = n
    return 0
"""
