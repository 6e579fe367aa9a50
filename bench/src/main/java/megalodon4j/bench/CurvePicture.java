package megalodon4j.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Time a token over the length of the text, a line for each model. */
final class CurvePicture {
    // Dots an inch, for screens that show two where others show one.
    private static final int FINE = 144;

    private CurvePicture() {}

    static void save(List<CurvePoint> points, Path png) throws IOException {
        BitmapEncoder.saveBitmapWithDPI(chart(points), png.toString(), BitmapFormat.PNG, FINE);
    }

    private static XYChart chart(List<CurvePoint> points) {
        var chart = new XYChartBuilder()
                .width(800)
                .height(400)
                .xAxisTitle("tokens of the text")
                .yAxisTitle("milliseconds a token")
                .build();
        chart.getStyler().setYAxisMin(0.0).setLegendPosition(LegendPosition.InsideNE);
        for (var model : points.stream().map(CurvePoint::model).distinct().toList()) {
            var own = points.stream().filter(p -> p.model().equals(model)).toList();
            chart.addSeries(
                            model,
                            own.stream().mapToDouble(CurvePoint::tokens).toArray(),
                            own.stream().mapToDouble(CurvePoint::milliseconds).toArray())
                    .setMarker(SeriesMarkers.NONE);
        }
        return chart;
    }
}
