'use strict';
(() => {
    const runs = JSON.parse(document.getElementById('curves').textContent).runs;
    const COLOURS = 8;
    const LOG_TICKS = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20];
    const shown = runs.map(() => true);
    const training = document.getElementById('training');
    const logarithmic = document.getElementById('logarithmic');

    const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const faint = colour => colour + '90';
    const whole = number => Math.round(number).toLocaleString('en-US');

    function duration(seconds) {
        const s = Math.round(seconds);
        const two = n => String(n).padStart(2, '0');
        return Math.floor(s / 3600) + ':' + two(Math.floor(s / 60) % 60) + ':' + two(s % 60);
    }

    // The unit that leaves numbers a reader can hold.
    function timeUnit() {
        const longest = Math.max(0, ...runs.flatMap(run => [...run.validation, ...run.training].map(point => point[1])));
        if (longest < 180) return ['seconds', 1];
        return longest < 3 * 3600 ? ['minutes', 60] : ['hours', 3600];
    }

    // A point of a curve is [step, seconds, bits per character].
    function datasets(x) {
        return runs.flatMap((run, i) => ['training', 'validation'].map(kind => {
            const main = kind === 'validation';
            const colour = () => main ? css('--c' + i % COLOURS) : faint(css('--c' + i % COLOURS));
            const alone = run[kind].length === 1;
            return {
                label: run.name + ', ' + kind,
                kind, run: i, source: run[kind],
                data: run[kind].map(point => ({x: x(point), y: point[2]})),
                borderColor: colour, backgroundColor: colour,
                borderWidth: main ? 2.5 : 1.5,
                borderDash: i < COLOURS ? [] : [6, 4],
                pointRadius: alone || main && run[kind].length <= 60 ? 3.5 : 0,
                pointHoverRadius: 5,
                clip: 6,
                order: main ? 0 : 1,
            };
        }));
    }

    const visible = set => shown[set.run] && (set.kind === 'validation' || training.checked);

    function extreme(chart, pick, coordinate) {
        const all = chart.data.datasets.filter(visible).flatMap(set => set.data.map(point => point[coordinate]));
        return all.length ? pick(...all) : undefined;
    }

    function axis(title, decimals) {
        return {
            title: {display: true, text: title, color: () => css('--dim')},
            grid: {color: () => css('--line')},
            border: {color: () => css('--line')},
            ticks: {color: () => css('--dim'), maxRotation: 0, includeBounds: false, precision: decimals},
        };
    }

    function bpcAxis(chart) {
        const linear = {...axis('bits per character'), type: 'linear', grace: '4%'};
        const min = extreme(chart, Math.min, 'y') * 0.96;
        const max = extreme(chart, Math.max, 'y') * 1.04;
        const ticks = LOG_TICKS.filter(value => value >= min && value <= max);
        if (!logarithmic.checked || ticks.length < 3) return linear;
        return {
            ...linear,
            type: 'logarithmic',
            min, max,
            afterBuildTicks: scale => { scale.ticks = ticks.map(value => ({value})); },
            ticks: {...linear.ticks, callback: value => String(value)},
        };
    }

    function draw(id, title, x, decimals) {
        return new Chart(document.getElementById(id), {
            type: 'line',
            data: {datasets: datasets(x)},
            options: {
                animation: false,
                maintainAspectRatio: false,
                interaction: {mode: 'nearest', intersect: false},
                font: {size: 13},
                scales: {x: {...axis(title, decimals), type: 'linear', min: 0}, y: {type: 'linear'}},
                plugins: {
                    legend: {display: false},
                    tooltip: {
                        backgroundColor: () => css('--text'),
                        titleColor: () => css('--page'),
                        bodyColor: () => css('--page'),
                        callbacks: {
                            title: items => items.slice(0, 1).map(({dataset, dataIndex}) => {
                                const [step, seconds] = dataset.source[dataIndex];
                                return 'step ' + whole(step) + ', ' + duration(seconds);
                            }),
                            label: ({dataset, parsed}) => dataset.label + ': ' + parsed.y.toFixed(4),
                        },
                    },
                },
            },
        });
    }

    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    const [unit, length] = timeUnit();
    const charts = [
        draw('by-step', 'steps', point => point[0], 0),
        draw('by-time', 'training time, ' + unit, point => point[1] / length),
    ];

    function update() {
        for (const chart of charts) {
            chart.data.datasets.forEach((set, i) => chart.setDatasetVisibility(i, visible(set)));
            chart.options.scales.x.max = extreme(chart, Math.max, 'x');
            chart.options.scales.y = bpcAxis(chart);
            chart.update();
        }
    }

    for (const button of document.querySelectorAll('button[data-run]')) {
        button.addEventListener('click', () => {
            const run = Number(button.dataset.run);
            shown[run] = !shown[run];
            button.setAttribute('aria-pressed', shown[run]);
            update();
        });
    }
    training.addEventListener('change', update);
    logarithmic.addEventListener('change', update);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', update);
    addEventListener('beforeprint', () => charts.forEach(chart => chart.resize()));
    update();
})();
